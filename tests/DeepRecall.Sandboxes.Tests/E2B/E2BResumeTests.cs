using CsCheck;
using DeepRecall.Repl;
using DeepRecall.Sandboxes.Tests.Cloud;
using DeepRecall.Sandboxing;
using DeepRecall.Testing.Emulators;
using DeepRecall.Testing.Emulators.Connect;
using DeepRecall.Trajectory;

namespace DeepRecall.Sandboxes.Tests.E2B;

/// <summary>Connections that break.</summary>
public sealed class E2BResumeTests(E2BFixture fixture) : IClassFixture<E2BFixture>
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
            iter: 20,
            threads: 1,
            print: list => string.Join(' ', list));

    [Fact]
    public async Task StreamDroppedInALongCellThatSaysNothing_StillBringsItsResult()
    {
        await using var repl = await TestRepl.StartAsync(fixture.CreateSandbox());
        var cell = repl.RunAsync("import time\nprint('begin')\ntime.sleep(2)\nprint('end')");
        await Task.Delay(500, Token);
        Faults.DropStreams();
        var result = await cell.WaitAsync(TimeSpan.FromSeconds(30), Token);
        Assert.Equal((CellStatus.Ok, "begin\nend\n"), (result.Status, result.Output));
    }

    [Fact]
    public async Task ResultWrittenWhileNobodyIsAttached_IsSentAgain()
    {
        await using var repl = await TestRepl.StartAsync(fixture.CreateSandbox());
        var cell = repl.RunAsync("import time\ntime.sleep(0.7)\nprint('end')");
        await Task.Delay(200, Token);
        Faults.IsDown = true;
        await Task.Delay(900, Token);
        Faults.IsDown = false;
        var result = await cell.WaitAsync(TimeSpan.FromSeconds(30), Token);
        Assert.Equal((CellStatus.Ok, "end\n"), (result.Status, result.Output));
    }

    [Fact]
    public async Task SubCallWhoseAnswerIsLost_IsPaidForOnce()
    {
        var paid = 0;
        await using var repl = await TestRepl.StartAsync(fixture.CreateSandbox(), TestRepl.Settings, (_, _) =>
        {
            if (Interlocked.Increment(ref paid) == 1)
            {
                Faults.FailInput(new InputFault(0)); // the answer
            }

            return Task.FromResult(HostReply.Text("paid"));
        });
        Assert.Equal("paid\n", await repl.PrintAsync("print(llm_query('x'))"));
        Assert.Equal(1, paid);
    }

    [Fact]
    public async Task LargeMessageThatFailsInItsMiddle_ArrivesWhole()
    {
        // Three calls of 1 MiB; were the second sent twice, the text would have a piece twice and still be JSON.
        await using var repl = await TestRepl.StartAsync(fixture.CreateSandbox(), TestRepl.Settings, (_, _) =>
        {
            Faults.FailInput(new InputFault(int.MaxValue));
            return Task.FromResult(HostReply.Text(string.Concat(Enumerable.Range(0, 300_000).Select(number => $"{number:d9} "))));
        });
        Assert.Equal("3000000 True\n", await repl.PrintAsync("text = llm_query('x')\nprint(len(text), text == ''.join('%09d ' % i for i in range(300_000)))"));
    }

    [Fact]
    public async Task StreamDroppedBeforeThePythonIsReady_DoesNotHoldUpTheStart()
    {
        Faults.CutStreamAfter(60);
        await using var repl = await TestRepl.StartAsync(fixture.CreateSandbox());
        Assert.Equal("alive\n", await repl.PrintAsync("print('alive')"));
    }

    [Fact]
    public async Task StartWhoseAnswerIsLost_StartsOneProcess()
    {
        await using var own = new E2BFixture();
        await own.InitializeAsync();
        own.Emulator.Faults.CutStreamAfter(0);
        await using var repl = await TestRepl.StartAsync(own.CreateSandbox());
        Assert.Equal("alive\n", await repl.PrintAsync("print('alive')"));
        Assert.Equal(1, own.Emulator.Requests.Count(request => request.Path == "/process.Process/Start"));
        Assert.Equal(1, own.Emulator.Requests.Count(request => request.Path == "/process.Process/Connect"));
    }

    [Fact]
    public async Task ConnectionThatDoesNotComeBack_SaysWhatIsLost()
    {
        await using var own = new E2BFixture();
        await own.InitializeAsync();
        await using var repl = await TestRepl.StartAsync(own.CreateSandbox());
        var cell = repl.RunAsync("import time\ntime.sleep(60)");
        await Task.Delay(300, Token);
        own.Emulator.Faults.IsDown = true;
        var error = await Assert.ThrowsAsync<SandboxException>(() => cell.WaitAsync(TimeSpan.FromSeconds(60), Token));
        Assert.Equal(SandboxErrorKind.Connection, error.Kind);
        Assert.Contains("the connection to the E2B sandbox", error.Message, StringComparison.Ordinal);
        Assert.Contains("could not be made again in 8 attempts", error.Message, StringComparison.Ordinal);
        Assert.Contains("its variables are lost, and no fresh one could be started", error.Message, StringComparison.Ordinal);
        own.Emulator.Faults.IsDown = false;
    }

    [Fact]
    public async Task ConnectionThatComesBackTooLate_HasAFreshReplInItsPlace()
    {
        await using var own = new E2BFixture();
        await own.InitializeAsync();
        await using var repl = await TestRepl.StartAsync(own.CreateSandbox());
        await repl.PrintAsync("kept = 1");
        var lost = Assert.Single(own.Emulator.Sandboxes);
        var printed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var cell = repl.RunAsync("import time\nprint('begin', flush=True)\ntime.sleep(600)", _ => printed.TrySetResult());
        await printed.Task.WaitAsync(TimeSpan.FromSeconds(60), Token);
        await own.Emulator.ExpireAsync(lost);
        var result = await cell.WaitAsync(TimeSpan.FromSeconds(60), Token);
        Assert.Equal(CellStatus.Died, result.Status);
        Assert.Contains("its variables are lost", result.Error, StringComparison.Ordinal);
        Assert.Equal("begin\n", result.Output);
        Assert.Equal("False\n", await repl.PrintAsync("print('kept' in globals())"));
        Assert.NotEqual(lost, Assert.Single(own.Emulator.Sandboxes));
    }

    [Fact]
    public async Task StartWhoseStreamIsLost_IsAttachedToAlsoWhenTheWorkerSpokeBefore()
    {
        await using var own = new E2BFixture();
        await own.InitializeAsync();
        own.Emulator.Faults.CutStreamAfter(0);
        own.Emulator.FailNext(request => request.Path.EndsWith("/Connect", StringComparison.Ordinal), new Fault(FaultKind.Slow) { Delay = TimeSpan.FromSeconds(2) });
        await using var repl = await TestRepl.StartAsync(own.CreateSandbox()).WaitAsync(TimeSpan.FromSeconds(30), Token);
        Assert.Equal("alive\n", await repl.PrintAsync("print('alive')"));
        Assert.Equal(1, own.Emulator.Created);
    }

    [Fact]
    public async Task EventsInSmallChunksWithNoiseKeepalivesAndDelay_AreOneStream()
    {
        await using var own = new E2BFixture();
        await own.InitializeAsync();
        own.Emulator.Faults.ChunkBytes = 7;
        own.Emulator.Faults.KeepAlive = TimeSpan.FromMilliseconds(20);
        own.Emulator.Faults.Noise = "Welcome!\r\n{\"id\":1,\"result\":null}\n\x1b[0m$ "u8.ToArray();
        await using var repl = await TestRepl.StartAsync(own.CreateSandbox());
        Assert.Equal("echo: hé\n", await repl.PrintAsync("import time\ntime.sleep(0.3)\nprint(llm_query('hé'))"));
        own.Emulator.Faults.ChunkBytes = 32 * 1024;
        own.Emulator.Faults.Delay = TimeSpan.FromMilliseconds(30);
        Assert.Equal("echo: late\n", await repl.PrintAsync("print(llm_query('late'))"));
    }
}
