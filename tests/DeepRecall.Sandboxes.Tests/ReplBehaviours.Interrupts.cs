using DeepRecall.Repl;
using DeepRecall.Trajectory;

namespace DeepRecall.Sandboxes.Tests;

// Cells that run over their time, and callers who do not wait for the end.
public abstract partial class ReplBehaviours
{
    private static readonly ReplSettings Impatient = TestRepl.Settings with { CellTimeout = TimeSpan.FromSeconds(1) };

    [Theory]
    [InlineData("while True:\n    pass")]
    [InlineData("import time\ntime.sleep(600)")]
    [InlineData("import threading\nthreading.Event().wait()")]
    [InlineData("import subprocess\nsubprocess.run(['sleep', '600'])")]
    [InlineData("while True:\n    print('x' * 1000)")]
    [InlineData("import os\nwhile True:\n    os.write(1, b'x' * 1000)")]
    [InlineData("import asyncio\nasyncio.run(asyncio.sleep(600))")]
    [InlineData("input = None\nwhile True:\n    try:\n        llm_query('again')\n    except Exception:\n        pass")]
    [InlineData("import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\nwhile True:\n    pass")]
    public async Task CellThatRunsOver_IsInterruptedAndKeepsItsVariables(string code)
    {
        await using var repl = await StartAsync(Impatient);
        await repl.PrintAsync("kept = 'kept'");
        var result = await repl.RunAsync($"print('before')\nduring = 'during'\n{code}");
        Assert.Equal(CellStatus.Interrupted, result.Status);
        Assert.Contains("ran over its 1 seconds", result.Error, StringComparison.Ordinal);
        Assert.StartsWith("before\n", result.Output, StringComparison.Ordinal);
        Assert.Equal("kept during\n", await repl.PrintAsync("print(kept, during)"));
    }

    [Fact]
    public async Task CellAfterAnInterruptedOne_HasItsWholeTime()
    {
        await using var repl = await StartAsync(Impatient);
        for (var round = 0; round < 3; round++)
        {
            Assert.Equal(CellStatus.Interrupted, (await repl.RunAsync("while True:\n    pass")).Status);
            Assert.Equal("done\n", await repl.PrintAsync("import time\ntime.sleep(0.3)\nprint('done')"));
        }
    }

    [Theory]
    [InlineData("while True:\n    try:\n        time.sleep(0.01)\n    except BaseException:\n        pass")]
    [InlineData("signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True:\n    pass")]
    [InlineData("signal.signal(signal.SIGINT, lambda *a: None)\nwhile True:\n    pass")]
    public async Task CellThatSwallowsTheInterrupt_IsKilled(string code)
    {
        await using var repl = await StartAsync(Impatient with { InterruptGrace = TimeSpan.FromMilliseconds(500) });
        await repl.PrintAsync("import signal, time\nlost = 1");
        var result = await repl.RunAsync($"print('before')\n{code}");
        Assert.Equal(CellStatus.Died, result.Status);
        Assert.Contains("did not stop when it was interrupted", result.Error, StringComparison.Ordinal);
        Assert.Equal("before\n", result.Output);
        Assert.Equal("False\n", await repl.PrintAsync("print('lost' in globals())"));
    }

    [Fact]
    public async Task WaitingForTheHost_DoesNotCountAgainstTheTimeout()
    {
        await using var repl = await StartAsync(
            async (_, token) =>
            {
                await Task.Delay(TimeSpan.FromSeconds(2.5) * Slowness, token);
                return HostReply.Text("late");
            },
            cellTimeout: TimeSpan.FromSeconds(1) * Slowness);
        var result = await repl.RunAsync("print(llm_query('x'))");
        Assert.Equal((CellStatus.Ok, "late\n"), (result.Status, result.Output));
        Assert.InRange(result.Waited, TimeSpan.FromSeconds(2.4) * Slowness, result.Duration);
    }

    [Fact]
    public async Task CallInFlightOfAnInterruptedCell_IsCancelledOnTheHost()
    {
        var cancelled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var repl = await StartAsync(
            async (_, token) =>
            {
                using var registration = token.Register(() => cancelled.TrySetResult());
                await Task.Delay(Timeout.Infinite, token);
                throw new InvalidOperationException();
            },
            cellTimeout: TimeSpan.FromSeconds(60));

        // A call of a thread that nobody waits for: when the cell ends, so does the call.
        var result = await repl.RunAsync("import threading, time\nanswers = []\nthread = threading.Thread(target=lambda: answers.append(llm_query('x')), daemon=True)\nthread.start()\ntime.sleep(0.3)");
        Assert.Equal(CellStatus.Ok, result.Status);
        await cancelled.Task.WaitAsync(TimeSpan.FromSeconds(30), Token);
        Assert.StartsWith("['Error:", await repl.PrintAsync("thread.join(30)\nprint(answers)"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task InterruptedCellThatWaitsForAThreadsCall_IsFreedByTheCallsCancellation()
    {
        var cancelled = 0;
        await using var repl = await StartAsync(
            async (call, token) =>
            {
                if (TestRepl.Prompt(call) == "quick")
                {
                    return HostReply.Text("quick");
                }

                using var registration = token.Register(() => Interlocked.Increment(ref cancelled));
                await Task.Delay(Timeout.Infinite, token);
                throw new InvalidOperationException();
            },
            cellTimeout: Timeout.InfiniteTimeSpan);
        using var impatient = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => repl.Session.ExecuteAsync(
            "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(4) as pool:\n    list(pool.map(llm_query, 'abcd'))",
            null,
            impatient.Token));
        Assert.Equal(4, cancelled);
    }

    [Theory]
    [InlineData("while True:\n    pass")]
    [InlineData("import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True:\n    time.sleep(1)")]
    [InlineData("llm_query('never answered')")]
    public async Task CancelledCell_IsGoneWhenTheSessionIsDisposed(string code)
    {
        var held = new TaskCompletionSource<HostReply>();
        var repl = await StartAsync((_, _) => held.Task);
        var process = (await repl.ValueAsync("__import__('os').getpid()")).GetInt32();
        using var cancelled = new CancellationTokenSource();
        var cell = repl.Session.ExecuteAsync($"print('running', flush=True)\n{code}", _ => cancelled.CancelAfter(200), cancelled.Token);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cell.WaitAsync(TimeSpan.FromSeconds(30), Token));
        await repl.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(20), Token);
        Assert.False(await IsAliveAsync(process));
    }

    [Fact]
    public async Task CancelledTokenAtTheStart_StartsNothing()
    {
        await using var repl = await StartAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => repl.Session.ExecuteAsync("x = 1", null, new CancellationToken(true)));
    }

    /// <summary>Whether a process is there; where processes cannot be seen from here, the environment says so itself.</summary>
    protected virtual ValueTask<bool> IsAliveAsync(int processId) =>
        ValueTask.FromResult(Directory.Exists($"/proc/{processId}") && !File.ReadAllText($"/proc/{processId}/stat").Contains(") Z ", StringComparison.Ordinal));
}
