using System.Collections.Concurrent;
using CsCheck;
using DeepRecall.Repl;
using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxes.Modal;
using DeepRecall.Sandboxes.Tests.Cloud;
using DeepRecall.Sandboxing;
using DeepRecall.Testing.Emulators.Modal;
using DeepRecall.Trajectory;
using Grpc.Core;
using ModalClient = DeepRecall.Sandboxes.Modal.ModalClient;
using TaskExecStdioFileDescriptor = DeepRecall.Sandboxes.Modal.Wire.TaskExecStdioFileDescriptor;

namespace DeepRecall.Sandboxes.Tests.Modal;

/// <summary>Connections that break.</summary>
public sealed class ModalResumeTests : IAsyncLifetime
{
    // Fewer together than the attempts that are made, all of which they may hit.
    private static readonly Gen<int[]> Cuts = Gen.Int[1, 3000].Array[0, 3];
    private static readonly Gen<WriteFault[]> Writes = Gen.Enum<WriteFault>().Array[0, 4];

    private readonly ModalFixture _modal = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private ModalFaults Faults => _modal.Emulator.Faults;

    public ValueTask InitializeAsync() => _modal.InitializeAsync();

    public ValueTask DisposeAsync() => _modal.DisposeAsync();

    [Fact]
    public async Task CellsWhoseStreamsAreCutAtRandomPoints_LoseNothingAndDoubleNothing() =>
        await Gen.Select(Cuts, Writes).SampleAsync(
            async (cuts, writes) =>
            {
                await using var run = await CloudRun.StartAsync(_modal.Sandbox);
                Disturb(cuts, writes);
                await run.WorkUntilAsync(Task.CompletedTask);
                run.AssertEachCallWasPaidOnce();
            },
            iter: 15,
            threads: 1);

    [Fact]
    public async Task BytesThroughStreamsThatAreCutAtRandomPoints_ArriveOnceAndInOrder()
    {
        var client = new ModalClient(ModalSettings.Resolve(ModalFixture.Options(_modal.Emulator), _ => null), CloudHost.Create(null, null, null));
        var task = await client.CreateAsync("bytes", Token);
        using var router = new ModalRouter(client, task);
        await Gen.Select(Cuts, Writes, Gen.Byte.Array[0, 20_000], Gen.Int[1, 5000]).SampleAsync(
            async (cuts, writes, bytes, piece) =>
            {
                Disturb(cuts, writes);
                var exec = await router.StartAsync(["cat"], Token);
                var input = new PipelinedInput((offset, data) => router.WriteAsync(exec, offset, data, eof: false, Token), static _ => { }, 4096);
                foreach (var part in bytes.Chunk(piece))
                {
                    await input.WriteAsync(part, Token);
                }

                await router.WriteAsync(exec, await input.DrainAsync(Token), ReadOnlyMemory<byte>.Empty, eof: true, Token);
                using var echo = new MemoryStream();
                await using var output = new ModalOutput(router, exec, TaskExecStdioFileDescriptor.Stdout, static _ => { }, Token);
                await output.CopyToAsync(echo, Token);
                Assert.Equal(bytes, echo.ToArray());
                Assert.Equal((0, null), await router.WaitAsync(exec, Token));
            },
            iter: 30,
            threads: 1);
        await client.DiscardAsync(task.SandboxId);
    }

    [Fact]
    public async Task StreamCutInALongCellThatSaysNothing_StillBringsItsResult()
    {
        await using var repl = await TestRepl.StartAsync(_modal.Sandbox);
        var cell = repl.RunAsync("import time\nprint('begin')\ntime.sleep(2)\nprint('end')");
        await Task.Delay(500, Token);
        _modal.Emulator.BreakConnections();
        var result = await cell.WaitAsync(TimeSpan.FromSeconds(30), Token);
        Assert.Equal((CellStatus.Ok, "begin\nend\n"), (result.Status, result.Output));
    }

    [Fact]
    public async Task TokensThatExpireWhileACellRuns_AreRenewed()
    {
        await using var repl = await TestRepl.StartAsync(_modal.Sandbox);
        for (var round = 0; round < 3; round++)
        {
            _modal.Emulator.ExpireTokens();
            _modal.Emulator.BreakConnections();
            Assert.Equal("echo: x\n", await repl.PrintAsync("print(llm_query('x'))"));
        }
    }

    [Fact]
    public async Task TokensThatLiveShortly_AreRenewedBeforeTheyExpire()
    {
        Faults.TokenLifetime = TimeSpan.FromSeconds(40);
        Faults.RouterTokenLifetime = TimeSpan.FromSeconds(31); // a second after it was given it is near its end
        await using var repl = await TestRepl.StartAsync(_modal.Sandbox);
        await Task.Delay(1200, Token);
        Assert.Equal("1\n", await repl.PrintAsync("print(1)"));
        Assert.Contains(_modal.Emulator.Calls, call => call.Method == "SandboxGetCommandRouterAccess");
    }

    [Fact]
    public async Task SubCallWhoseAnswerIsLostOnItsWay_IsPaidForOnce()
    {
        var paid = 0;
        await using var repl = await TestRepl.StartAsync(_modal.Sandbox, TestRepl.Settings, (_, _) =>
        {
            if (Interlocked.Increment(ref paid) == 1)
            {
                Disturb([], [WriteFault.Lost, WriteFault.Half, WriteFault.Unanswered]);
            }

            return Task.FromResult(HostReply.Text("paid"));
        });
        Assert.Equal("paid\n", await repl.PrintAsync("print(llm_query('x'))"));
        Assert.Equal(1, paid);
    }

    [Fact]
    public async Task UploadWhoseWritesFail_ArrivesWhole()
    {
        var text = string.Concat(Enumerable.Range(0, 1_500_000).Select(number => $"{number:d7} ")); // three pieces
        Disturb([], [WriteFault.None, WriteFault.Half, WriteFault.Lost, WriteFault.Unanswered, WriteFault.None, WriteFault.Half]);
        await using var repl = await TestRepl.StartAsync(_modal.Sandbox, Request.ContextContent.FromText(text));
        Assert.Equal("12000000 True\n", await repl.PrintAsync("print(len(context), context == ''.join('%07d ' % i for i in range(1_500_000)))"));
    }

    [Fact]
    public async Task RouterThatDoesNotComeBack_EndsTheReplAndAFreshOneIsStarted()
    {
        await using var repl = await TestRepl.StartAsync(_modal.Sandbox);
        await repl.PrintAsync("kept = 1");
        var cell = repl.RunAsync("import time\nprint('begin', flush=True)\ntime.sleep(60)");
        await Task.Delay(500, Token);
        Faults.FailNext("TaskExecStdioRead", new CallFault(StatusCode.NotFound, "task is gone"));
        _modal.Emulator.BreakConnections();
        var result = await cell.WaitAsync(TimeSpan.FromSeconds(60), Token);
        Assert.Equal(CellStatus.Died, result.Status);
        Assert.Contains("task is gone", result.Error, StringComparison.Ordinal);
        Assert.Contains("its variables are lost", result.Error, StringComparison.Ordinal);
        Assert.Equal("False\n", await repl.PrintAsync("print('kept' in globals())"));
        Assert.Single(_modal.Emulator.Running);
    }

    [Fact]
    public async Task ConnectionsThatBringAByteAndBreakAgain_AreGivenUp()
    {
        await using var repl = await TestRepl.StartAsync(_modal.Sandbox);
        var cell = repl.RunAsync("import time\nfor i in range(1500):\n    print(i, flush=True)\n    time.sleep(0.02)");
        await Task.Delay(300, Token);
        var left = 7;
        Faults.CutOutput = () => Interlocked.Decrement(ref left) >= 0 ? 1 : null;
        _modal.Emulator.BreakConnections();
        var result = await cell.WaitAsync(TimeSpan.FromSeconds(90), Token);
        Assert.Equal(CellStatus.Died, result.Status);
        Assert.Equal("1\n", await repl.PrintAsync("print(1)"));
    }

    [Fact]
    public async Task TokensThatCannotBeRenewedForAWhile_AreAskedForAgain()
    {
        await using var repl = await TestRepl.StartAsync(_modal.Sandbox);
        await repl.PrintAsync("kept = 1");
        Faults.FailNext("SandboxGetCommandRouterAccess", new CallFault(StatusCode.Unavailable), times: 4);
        _modal.Emulator.ExpireTokens();
        _modal.Emulator.BreakConnections();
        Assert.Equal("1\n", await repl.PrintAsync("print(kept)").WaitAsync(TimeSpan.FromSeconds(60), Token));
    }

    [Fact]
    public async Task ServiceThatDoesNotComeBack_IsAnExceptionThatSaysWhatIsLost()
    {
        var own = new ModalFixture();
        await own.InitializeAsync();
        await using var repl = await TestRepl.StartAsync(own.Sandbox);
        var cell = repl.RunAsync("import time\ntime.sleep(60)");
        await Task.Delay(300, Token);
        await own.DisposeAsync();
        var error = await Assert.ThrowsAsync<SandboxException>(() => cell.WaitAsync(TimeSpan.FromSeconds(90), Token));
        Assert.Equal(SandboxErrorKind.Connection, error.Kind);
        Assert.Contains("its variables are lost, and no fresh one could be started", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(ModalEmulator.TokenSecret, error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task SandboxWhoseTimeIsOver_IsToldAsSuch()
    {
        await using var repl = await TestRepl.StartAsync(_modal.Sandbox);
        var cell = repl.RunAsync("import time\ntime.sleep(60)");
        await Task.Delay(300, Token);
        _modal.Emulator.TimeOutSandboxes();
        var result = await cell.WaitAsync(TimeSpan.FromSeconds(60), Token);
        Assert.Equal(CellStatus.Died, result.Status);
        Assert.Contains("its time was over (ModalSandboxOptions.Timeout is 01:00:00)", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task SmallPiecesThatComeLate_AreOneStream()
    {
        Faults.ChunkSize = 7;
        Faults.Delay = TimeSpan.FromMilliseconds(20);
        await using var repl = await TestRepl.StartAsync(_modal.Sandbox);
        Assert.Equal("echo: h\u00E9\n", await repl.PrintAsync("print(llm_query('h\u00E9'))"));
    }

    private void Disturb(int[] cuts, WriteFault[] writes)
    {
        var cutsLeft = new ConcurrentQueue<int>(cuts);
        var writesLeft = new ConcurrentQueue<WriteFault>(writes);
        Faults.CutOutput = () => cutsLeft.TryDequeue(out var cut) ? cut : null;
        Faults.Write = () => writesLeft.TryDequeue(out var fault) ? fault : WriteFault.None;
    }
}
