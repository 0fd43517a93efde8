using System.Collections.Concurrent;
using CsCheck;
using DeepRecall.Repl;
using DeepRecall.Request;
using DeepRecall.Sandboxes.Tests.Cloud;
using DeepRecall.Sandboxing;
using DeepRecall.Testing.Emulators.Daytona;
using DeepRecall.Trajectory;

namespace DeepRecall.Sandboxes.Tests.Daytona;

/// <summary>Connections that break.</summary>
public sealed class DaytonaResumeTests : IAsyncLifetime
{
    private static readonly Gen<int[]> Cuts = Gen.Int[1, 4000].Array[0, 5];

    private readonly DaytonaFixture _daytona = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private DaytonaFaults Faults => _daytona.Emulator.Faults;

    public ValueTask InitializeAsync() => _daytona.InitializeAsync();

    public ValueTask DisposeAsync() => _daytona.DisposeAsync();

    [Fact]
    public async Task CellsWhoseStreamsAreCutAtRandomPoints_LoseNothingAndDoubleNothing() =>
        await Gen.Select(Cuts, Cuts).SampleAsync(
            async (outputs, inputs) =>
            {
                Disturb([], []); // what is left of the sample before
                await using var run = await CloudRun.StartAsync(_daytona.Sandbox);
                Disturb(outputs, inputs);
                _daytona.Emulator.BreakConnections(); // the next connection is the first that is cut
                await run.WorkUntilAsync(Task.CompletedTask);
                run.AssertEachCallWasPaidOnce();
            },
            iter: 15,
            threads: 1);

    [Fact]
    public async Task StartsWhoseStreamsAreCut_BeginAgain()
    {
        Disturb([400], []);
        await using var first = await TestRepl.StartAsync(_daytona.Sandbox);
        Assert.Equal("1\n", await first.PrintAsync("print(1)"));
        Disturb([], [700, 20_000]); // in the middle of the command, and in the middle of the worker
        await using var second = await TestRepl.StartAsync(_daytona.Sandbox);
        Assert.Equal("2\n", await second.PrintAsync("print(2)"));
        Assert.Equal(2, _daytona.Emulator.Created);
    }

    [Fact]
    public async Task StreamCutInALongCellThatSaysNothing_StillBringsItsResult()
    {
        await using var repl = await TestRepl.StartAsync(_daytona.Sandbox);
        var cell = repl.RunAsync("import time\nprint('begin')\ntime.sleep(2)\nprint('end')");
        await Task.Delay(500, Token);
        _daytona.Emulator.BreakConnections();
        var result = await cell.WaitAsync(TimeSpan.FromSeconds(30), Token);
        Assert.Equal((CellStatus.Ok, "begin\nend\n"), (result.Status, result.Output));
    }

    [Fact]
    public async Task ResultWrittenWhileNobodyIsConnected_IsSentAgain()
    {
        await using var repl = await TestRepl.StartAsync(_daytona.Sandbox);
        var cell = repl.RunAsync("import time\ntime.sleep(0.7)\nprint('end')");
        await Task.Delay(200, Token);
        Faults.FailNext("GET", "/connect", new RequestFault(503), times: 4); // about a second and a half
        _daytona.Emulator.BreakConnections();
        var result = await cell.WaitAsync(TimeSpan.FromSeconds(30), Token);
        Assert.Equal((CellStatus.Ok, "end\n"), (result.Status, result.Output));
    }

    [Fact]
    public async Task SubCallWhoseAnswerIsLostOnItsWay_IsPaidForOnce()
    {
        var paid = 0;
        await using var repl = await TestRepl.StartAsync(_daytona.Sandbox, TestRepl.Settings, (_, _) =>
        {
            if (Interlocked.Increment(ref paid) == 1)
            {
                _daytona.Emulator.BreakConnections();
            }

            return Task.FromResult(HostReply.Text("paid"));
        });
        Assert.Equal("paid\n", await repl.PrintAsync("print(llm_query('x'))"));
        Assert.Equal(1, paid);
    }

    [Fact]
    public async Task LargeMessageThatIsCutInItsMiddle_ArrivesWhole()
    {
        await using var repl = await TestRepl.StartAsync(_daytona.Sandbox, TestRepl.Settings, (_, _) =>
            Task.FromResult(HostReply.Text(string.Concat(Enumerable.Range(0, 100_000).Select(number => $"{number:d9} ")))));
        Disturb([], [100_000, 400_000]);
        _daytona.Emulator.BreakConnections();
        Assert.Equal("1000000 True\n", await repl.PrintAsync("text = llm_query('x')\nprint(len(text), text == ''.join('%09d ' % i for i in range(100_000)))"));
    }

    [Fact]
    public async Task LargeMessageOfTheWorkerOnASlowLine_IsNotDropped()
    {
        Faults.SendDelay = TimeSpan.FromMilliseconds(1); // about 4 MB a second, where the terminal brings a hundred
        Faults.QueuedMessages = 256;
        await using var repl = await TestRepl.StartAsync(_daytona.Sandbox);
        Assert.Equal("True\n", await repl.PrintAsync("text = 'x' * 5_000_000\nprint(llm_query(text) == 'echo: ' + text)"));
    }

    [Fact]
    public async Task TerminalThatIsGone_EndsTheReplAndAFreshOneIsStarted()
    {
        await using var repl = await TestRepl.StartAsync(_daytona.Sandbox);
        var cell = repl.RunAsync("import time\nprint('begin', flush=True)\ntime.sleep(60)");
        await Task.Delay(500, Token);
        _daytona.Emulator.DeleteAll();
        _daytona.Emulator.BreakConnections();
        var result = await cell.WaitAsync(TimeSpan.FromSeconds(60), Token);
        Assert.Equal((CellStatus.Died, "begin\n"), (result.Status, result.Output));
        Assert.Contains("its variables are lost", result.Error, StringComparison.Ordinal);
        Assert.Equal("1\n", await repl.PrintAsync("print(1)"));
        Assert.Single(_daytona.Emulator.Running);
    }

    [Fact]
    public async Task ConnectionsThatBringAByteAndBreakAgain_AreGivenUp()
    {
        await using var repl = await TestRepl.StartAsync(_daytona.Sandbox);
        var cell = repl.RunAsync("import time\nfor i in range(1500):\n    print(i, flush=True)\n    time.sleep(0.02)");
        await Task.Delay(300, Token);
        var left = 8;
        Faults.CutOutput = () => Interlocked.Decrement(ref left) >= 0 ? 1 : null;
        _daytona.Emulator.BreakConnections();
        var result = await cell.WaitAsync(TimeSpan.FromSeconds(90), Token);
        Assert.Equal(CellStatus.Died, result.Status);
        Assert.Equal("1\n", await repl.PrintAsync("print(1)"));
    }

    [Fact]
    public async Task ServiceThatDoesNotComeBack_IsAnExceptionThatSaysWhatIsLost()
    {
        var own = new DaytonaFixture();
        await own.InitializeAsync();
        await using var repl = await TestRepl.StartAsync(own.Sandbox);
        var cell = repl.RunAsync("import time\ntime.sleep(60)");
        await Task.Delay(300, Token);
        await own.DisposeAsync();
        var error = await Assert.ThrowsAsync<SandboxException>(() => cell.WaitAsync(TimeSpan.FromSeconds(90), Token));
        Assert.Equal(SandboxErrorKind.Connection, error.Kind);
        Assert.Contains("its variables are lost, and no fresh one could be started", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(DaytonaEmulator.ApiKey, error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task NoiseOfAShell_IsSkipped()
    {
        Faults.Profile = "echo '{\"id\":1,\"result\":null}'; printf 'no line feed \\033[31m'; PS1='> '; for i in $(seq 200); do echo \"line $i\"; done\n";
        Faults.SendDelay = TimeSpan.FromMilliseconds(5);
        await using var repl = await TestRepl.StartAsync(_daytona.Sandbox, ContextContent.FromText("h\u00E9"));
        Assert.Equal("h\u00E9 echo: x\n", await repl.PrintAsync("print(context, llm_query('x'))"));
    }

    private void Disturb(int[] outputs, int[] inputs)
    {
        var outputsLeft = new ConcurrentQueue<int>(outputs);
        var inputsLeft = new ConcurrentQueue<int>(inputs);
        Faults.CutOutput = () => outputsLeft.TryDequeue(out var cut) ? cut : null;
        Faults.CutInput = () => inputsLeft.TryDequeue(out var cut) ? cut : null;
    }
}
