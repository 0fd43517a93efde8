using DeepRecall.Repl;
using DeepRecall.Request;
using DeepRecall.Trajectory;

namespace DeepRecall.Sandboxes.Tests;

// Cells that take the worker with them.
public abstract partial class ReplBehaviours
{
    [Theory]
    [InlineData("import os\nos._exit(3)", "exit code 3")]
    [InlineData("import os\nos._exit(0)", "exit code 0")]
    [InlineData("import ctypes\nctypes.string_at(0)", "signal 11 (SIGSEGV)")]
    [InlineData("import os, time\nos.kill(os.getpid(), 9)\ntime.sleep(60)", "signal 9 (SIGKILL")]
    [InlineData("import os\nos.abort()", "signal 6 (SIGABRT)")]
    [InlineData("import os, signal, time\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(60)", "signal 15 (SIGTERM)")]
    [InlineData("import os, time\nos.closerange(3, 1000)\ntime.sleep(1)", "The REPL died: ")]
    public async Task WorkerThatDies_IsReplacedByAFreshOne(string code, string reason)
    {
        await using var repl = await StartAsync(ContextContent.FromText("the context"), ContextContent.FromText(new string('x', 100_000)));
        await repl.PrintAsync("lost = 1");
        var result = await repl.RunAsync($"print('last words', flush=True)\n{code}");

        Assert.Equal(CellStatus.Died, result.Status);
        Assert.Contains(reason, result.Error, StringComparison.Ordinal);
        Assert.Contains("its variables are lost", result.Error, StringComparison.Ordinal);
        Assert.False(result.Ready);
        Assert.Equal(2, repl.Session.Contexts.Count);
        Assert.Equal("the context 100000 False echo: hi\n", await repl.PrintAsync("print(context, len(context_1), 'lost' in globals(), llm_query('hi'))"));
    }

    [Fact]
    public async Task WorkerThatDiesOverAndOver_IsReplacedEachTime()
    {
        await using var repl = await StartAsync();
        for (var round = 0; round < 5; round++)
        {
            Assert.Equal(CellStatus.Died, (await repl.RunAsync("import os\nos._exit(1)")).Status);
            Assert.Equal("alive\n", await repl.PrintAsync("print('alive')"));
        }
    }

    [Fact]
    public async Task WorkerThatDiesInAThreadsCall_CancelsTheCall()
    {
        var called = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var cancelled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var repl = await StartAsync(async (call, token) =>
        {
            if (TestRepl.Prompt(call) == "is it there?")
            {
                await called.Task.WaitAsync(TimeSpan.FromSeconds(60), token);
                return HostReply.Text("yes");
            }

            using var registration = token.Register(() => cancelled.TrySetResult());
            called.SetResult();
            await Task.Delay(Timeout.Infinite, token);
            throw new InvalidOperationException();
        });
        var result = await repl.RunAsync("import os, threading\nthreading.Thread(target=llm_query, args=('x',), daemon=True).start()\nllm_query('is it there?')\nos._exit(1)");
        Assert.Equal(CellStatus.Died, result.Status);
        await cancelled.Task.WaitAsync(TimeSpan.FromSeconds(30), Token);
    }

    [Fact]
    public async Task OutputThatHadArrived_IsKeptWhenTheWorkerDies()
    {
        await using var repl = await StartAsync();
        var result = await repl.RunAsync("import os, time\nprint('last words')\ntime.sleep(2)\nos._exit(1)");
        Assert.Equal((CellStatus.Died, "last words\n"), (result.Status, result.Output));
    }

    [Fact]
    public async Task MemoryThatRunsOut_IsAnErrorOfTheCell()
    {
        await using var repl = await StartAsync(ContextContent.FromText("the context"));
        var result = await repl.RunAsync("""
            import resource
            kept = 1
            try:
                resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
            except ValueError:
                pass  # where code may not set limits, the environment has set them
            huge = 'x' * (1 << 31)
            """);
        Assert.Equal((CellStatus.Error, "MemoryError"), (result.Status, result.ErrorType));
        Assert.Equal("1 the context\n", await repl.PrintAsync("print(kept, context)"));

        result = await repl.RunAsync("pieces = []\nwhile True:\n    pieces.append('x' * 1_000_000)");
        Assert.Equal((CellStatus.Error, "MemoryError"), (result.Status, result.ErrorType));
        Assert.Equal("1\n", await repl.PrintAsync("del pieces\nprint(kept)"));
    }
}
