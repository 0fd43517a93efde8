using CsCheck;
using DeepRecall.Repl;
using DeepRecall.Sandboxes.Tests.Cloud;
using DeepRecall.Sandboxing;
using DeepRecall.Testing.Emulators.Connect;
using DeepRecall.Trajectory;

namespace DeepRecall.Sandboxes.Tests.Prime;

/// <summary>Connections that break, and tokens that expire.</summary>
public sealed class PrimeResumeTests(PrimeFixture fixture) : IClassFixture<PrimeFixture>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private ProcessFaults Faults => fixture.Emulator.Faults;

    [Fact]
    public async Task StreamsThatAreCutAtRandomPoints_LoseNothingAndDoubleNothing() =>
        await Disturbance.Some.SampleAsync(
            async disturbances =>
            {
                Faults.Clear(); // what is left of the sample before

                // Chance may have it that all disturbances hit one message.
                await using var run = await CloudRun.StartAsync(fixture.CreateSandbox(attempts: 30));
                await run.WorkUntilAsync(Disturbance.ApplyAsync(Faults, disturbances));
                run.AssertEachCallWasPaidOnce();
            },
            iter: 15,
            threads: 1,
            print: list => string.Join(' ', list));

    [Fact]
    public async Task InputOfAContainerThatFails_IsSentAgainAndPaidForOnce()
    {
        await using var own = new PrimeFixture();
        await own.InitializeAsync();
        await using var run = await CloudRun.StartAsync(own.CreateSandbox(options => options.Container = true));
        foreach (var written in (int[])[0, 1, 0, 1])
        {
            own.Emulator.Faults.FailInput(new InputFault(written));
            await run.RunCellAsync();
        }

        own.Emulator.Faults.IsDown = true;
        var cell = run.RunCellAsync();
        await Task.Delay(300, Token);
        own.Emulator.Faults.IsDown = false;
        await cell;
        run.AssertEachCallWasPaidOnce();
    }

    [Fact]
    public async Task PartOfAContainersInputThatWasWrittenAndAnsweredAsUnavailable_IsNotWrittenTwice()
    {
        await using var own = new PrimeFixture();
        await own.InitializeAsync();
        var text = new string('x', 100_000); // three parts
        await using var repl = await TestRepl.StartAsync(own.CreateSandbox(options => options.Container = true), TestRepl.Settings, (_, _) =>
        {
            own.Emulator.Faults.FailInput(new InputFault(1, "unavailable"));
            return Task.FromResult(HostReply.Text(text));
        });
        Assert.Equal("100000\n", await repl.PrintAsync("print(len(llm_query('x')))").WaitAsync(TimeSpan.FromSeconds(60), Token));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task TokensThatExpire_AreRenewed(bool container)
    {
        await using var repl = await TestRepl.StartAsync(fixture.CreateSandbox(options => options.Container = container));
        Assert.Equal("1\n", await repl.PrintAsync("print(1)"));
        fixture.Emulator.ExpireTokens();
        Faults.DropStreams();
        Assert.Equal("echo: x\n", await repl.PrintAsync("print(llm_query('x'))"));
    }

    [Fact]
    public async Task TokenThatIsAboutToExpire_IsRenewedBeforeItIsUsed()
    {
        await using var own = new PrimeFixture();
        await own.InitializeAsync();
        own.Emulator.TokenLifetime = TimeSpan.FromSeconds(59);
        await using var repl = await TestRepl.StartAsync(own.CreateSandbox());
        Assert.Equal("1\n", await repl.PrintAsync("print(1)"));
        Assert.True(own.Emulator.Requests.Count(request => request.Path.EndsWith("/auth", StringComparison.Ordinal)) > 2);
    }

    [Fact]
    public async Task SubCallWhoseAnswerIsLost_IsPaidForOnce()
    {
        var paid = 0;
        await using var repl = await TestRepl.StartAsync(fixture.CreateSandbox(), TestRepl.Settings, (_, _) =>
        {
            if (Interlocked.Increment(ref paid) == 1)
            {
                Faults.FailInput(new InputFault(0, "unavailable")); // the answer
            }

            return Task.FromResult(HostReply.Text("paid"));
        });
        Assert.Equal("paid\n", await repl.PrintAsync("print(llm_query('x'))"));
        Assert.Equal(1, paid);
    }

    [Fact]
    public async Task StartWhoseAnswerIsLost_StartsOneProcess()
    {
        await using var own = new PrimeFixture();
        await own.InitializeAsync();
        own.Emulator.Faults.CutStreamAfter(0);
        await using var repl = await TestRepl.StartAsync(own.CreateSandbox());
        Assert.Equal("alive\n", await repl.PrintAsync("print('alive')"));
        Assert.Equal(1, own.Emulator.Processes);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ConnectionThatDoesNotComeBack_SaysWhatIsLost(bool container)
    {
        await using var own = new PrimeFixture();
        await own.InitializeAsync();
        await using var repl = await TestRepl.StartAsync(own.CreateSandbox(options => options.Container = container));
        var cell = repl.RunAsync("import time\ntime.sleep(1)\nprint('end')\ntime.sleep(60)");
        await Task.Delay(300, Token);
        own.Emulator.Faults.IsDown = true;
        var error = await Assert.ThrowsAsync<SandboxException>(() => cell.WaitAsync(TimeSpan.FromSeconds(90), Token));
        Assert.Equal(SandboxErrorKind.Connection, error.Kind);
        Assert.Contains("the connection to the Prime sandbox", error.Message, StringComparison.Ordinal);
        Assert.Contains("its variables are lost, and no fresh one could be started", error.Message, StringComparison.Ordinal);
        own.Emulator.Faults.IsDown = false;
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task SandboxWhoseTimeRanOut_HasAFreshOneInItsPlace(bool container)
    {
        await using var own = new PrimeFixture();
        await own.InitializeAsync();
        await using var repl = await TestRepl.StartAsync(own.CreateSandbox(options => options.Container = container));
        var printed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var cell = repl.RunAsync("import time\nprint('begin', flush=True)\ntime.sleep(600)", _ => printed.TrySetResult());
        await printed.Task.WaitAsync(TimeSpan.FromSeconds(60), Token);
        await own.Emulator.ExpireAsync(Assert.Single(own.Emulator.Sandboxes));
        var result = await cell.WaitAsync(TimeSpan.FromSeconds(60), Token);
        Assert.Equal((CellStatus.Died, "begin\n"), (result.Status, result.Output));
        Assert.Equal("alive\n", await repl.PrintAsync("print('alive')"));
    }
}
