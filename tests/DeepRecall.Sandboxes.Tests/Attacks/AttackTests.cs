using DeepRecall.Repl;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Trajectory;

namespace DeepRecall.Sandboxes.Tests.Attacks;

/// <summary>Programs that attack their host from a confined worker: none of them gets anything, and the host goes on.</summary>
public sealed class AttackTests
{
    private const string Gained = "GAINED";

    /// <summary>An attempt that failed by a mistake of its own.</summary>
    private const string Broken = "BROKEN";

    private static readonly ReplSettings Settings = TestRepl.Settings with
    {
        CellTimeout = TimeSpan.FromSeconds(10),
        InterruptGrace = TimeSpan.FromSeconds(2),
        Functions = ["llm_query"],
    };

    public static TheoryData<string> Programs => [.. AttackProgram.Names];

    /// <summary>Those that may also be run without confinement.</summary>
    public static TheoryData<string> Controls => [.. AttackProgram.Names.Where(name => AttackProgram.Read(name, "{}").HasControl)];

    [Theory]
    [MemberData(nameof(Programs))]
    public async Task Attack_GainsNothing(string program)
    {
        await using var witness = await Witness.CreateAsync();
        var attack = AttackProgram.Read(program, witness.Places);
        var root = Directory.CreateTempSubdirectory("deeprecall-test-");
        var options = new LocalSandboxOptions
        {
            Isolation = LocalIsolation.Required,
            ScratchRoot = root.FullName,
            MemoryLimit = 256L << 20,
            ScratchLimit = 64L << 20,
            ThreadLimit = 64,
            OpenFileLimit = 64,
            ReadablePaths = { witness.Readable },
        };
        var sandbox = new LocalSandbox(options);
        await using (var repl = await TestRepl.StartAsync(sandbox, Settings, Answer))
        {
            var result = await repl.RunAsync(attack.Code);
            Assert.DoesNotContain(Gained, result.Output, StringComparison.Ordinal);
            Assert.DoesNotContain(Broken, result.Output, StringComparison.Ordinal);
            Assert.DoesNotContain(witness.Token, result.Output, StringComparison.Ordinal);
            AssertOutcome(attack, result);

            // Whatever it did to its own REPL, the host gets an answer from it, or a fresh one.
            var next = await repl.RunAsync("print('next')");
            if (attack.Outcome == AttackOutcome.Any && next.Status == CellStatus.Died)
            {
                next = await repl.RunAsync("print('next')");
            }

            Assert.Equal((CellStatus.Ok, "next\n"), (next.Status, next.Output));
        }

        Assert.Equal(string.Empty, await witness.FindTracesAsync());
        Assert.Empty(root.EnumerateDirectories("scratch-*", SearchOption.AllDirectories));
        await using (var fresh = await TestRepl.StartAsync(sandbox, Settings))
        {
            Assert.Equal("fresh\n", await fresh.PrintAsync("print('fresh')"));
        }

        root.Delete(recursive: true);
    }

    /// <summary>The same programs unconfined, where that is safe: they do get what they are after, or they would prove nothing.</summary>
    [Theory]
    [MemberData(nameof(Controls))]
    public async Task AttackWithoutConfinement_IsNoticed(string program)
    {
        await using var witness = await Witness.CreateAsync();
        var attack = AttackProgram.Read(program, witness.Places);
        await using var repl = await TestRepl.StartAsync(new LocalSandbox(new LocalSandboxOptions { Isolation = LocalIsolation.None }), Settings);
        var result = await repl.RunAsync(attack.Code);
        var traces = await witness.FindTracesAsync();
        Assert.True(result.Output.Contains(Gained, StringComparison.Ordinal) || traces.Length > 0, $"{result.Output}\n{result.Error}");
    }

    [Fact]
    public void TheSuite_HasManyPrograms()
    {
        Assert.InRange(Programs.Count, 50, int.MaxValue);
        Assert.InRange(Controls.Count, 20, int.MaxValue);
    }

    private static Task<HostReply> Answer(CallParams call, CancellationToken cancellationToken) =>
        call.Name == "llm_query" ? Task.FromResult(HostReply.Text("an answer")) : throw new InvalidOperationException($"there is no function {call.Name}");

    private static void AssertOutcome(AttackProgram attack, CellResult result)
    {
        var told = $"{result.Status}: {result.Output}\n{result.Error}";
        switch (attack.Outcome)
        {
            case AttackOutcome.Ok:
                Assert.True(result.Status == CellStatus.Ok, told);
                Assert.Contains("refused", result.Output, StringComparison.Ordinal);
                break;
            case AttackOutcome.MemoryError:
                Assert.True(result is { Status: CellStatus.Error, ErrorType: "MemoryError" }, told);
                break;
            case AttackOutcome.Died:
                Assert.True(result.Status == CellStatus.Died, told);
                Assert.Contains(attack.Says!, result.Error, StringComparison.Ordinal);
                break;
            case AttackOutcome.Any:
                Assert.True(result.Status is CellStatus.Ok or CellStatus.Error or CellStatus.Died, told);
                break;
        }
    }
}
