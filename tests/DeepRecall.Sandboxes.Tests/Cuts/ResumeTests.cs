using System.Collections.Concurrent;
using System.Text;
using CsCheck;
using DeepRecall.Repl;
using DeepRecall.Trajectory;

namespace DeepRecall.Sandboxes.Tests.Cuts;

/// <summary>A connection that is cut at any point loses nothing and does nothing twice.</summary>
public sealed class ResumeTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task CutBeforeTheWorkerIsReady_DoesNotHoldUpTheStart()
    {
        var sandbox = new CutSandbox { StartsDetached = true };
        var starting = TestRepl.StartAsync(sandbox);
        while (sandbox.Process is null)
        {
            await Task.Delay(10, Token);
        }

        await Task.Delay(500, Token);
        await sandbox.Process.AttachAsync();
        await using var repl = await starting.WaitAsync(TimeSpan.FromSeconds(30), Token);
        Assert.Equal("alive\n", await repl.PrintAsync("print('alive')"));
    }

    [Fact]
    public async Task InterruptThatIsNeverAnswered_IsFollowedByTheKill()
    {
        var limit = TimeSpan.FromSeconds(1);
        var sandbox = new CutSandbox();
        await using var repl = await TestRepl.StartAsync(sandbox, TestRepl.Settings with { CellTimeout = limit, InterruptLimit = limit, InterruptGrace = limit });
        sandbox.Process!.InterruptHangs = true;
        var result = await repl.RunAsync("while True:\n    pass").WaitAsync(TimeSpan.FromSeconds(60), Token);
        Assert.Equal(CellStatus.Died, result.Status);
        Assert.Equal("alive\n", await repl.PrintAsync("print('alive')"));
    }

    [Fact]
    public async Task AnswerOfACallThatOutlivedItsCell_IsNotPaidForAgainWhenItIsLost()
    {
        var sandbox = new CutSandbox();
        var paid = new ConcurrentQueue<string>();
        await using var repl = await TestRepl.StartAsync(sandbox, TestRepl.Settings, (call, _) =>
        {
            paid.Enqueue(TestRepl.Prompt(call));
            if (TestRepl.Prompt(call) == "lost")
            {
                sandbox.Process!.Cut(1 << 20, 0);
            }

            return Task.FromResult(HostReply.Text("paid"));
        });
        await repl.PrintAsync("import threading, time\nanswers = []\nthread = threading.Thread(target=lambda: answers.append(llm_query('lost')), daemon=True)\nthread.start()\ntime.sleep(1)");
        await sandbox.Process!.AttachAsync();
        Assert.Equal(
            "Error: the connection was lost, and the cell that made the call is over\n",
            await repl.PrintAsync("llm_query('other')\nthread.join(30)\nprint(answers[0])"));
        Assert.Equal(["lost", "other"], paid);
    }

    [Fact]
    public async Task StreamsThatAreCutAtAnyPoint_LoseNothingAndDoubleNothing()
    {
        // Some of the cuts in each sample fall into the middle of a message; those of no bytes fall between two.
        var cuts = Gen.Select(Gen.Int[0, 400], Gen.Int[0, 400], Gen.Int[0, 40], Gen.Int[0, 60]).List[1, 12];
        await cuts.SampleAsync(RunAsync, iter: 25, threads: 1, print: list => string.Join(' ', list));
    }

    private static async Task RunAsync(List<(int OutputBytes, int InputBytes, int Down, int Up)> cuts)
    {
        var sandbox = new CutSandbox();
        var paid = new ConcurrentDictionary<string, int>(StringComparer.Ordinal);
        await using var repl = await TestRepl.StartAsync(sandbox, TestRepl.Settings, async (call, token) =>
        {
            var prompt = TestRepl.Prompt(call);
            paid.AddOrUpdate(prompt, 1, (_, count) => count + 1);
            await Task.Delay(Random.Shared.Next(4), token);
            return HostReply.Text($"<{prompt}>");
        });
        using var done = new CancellationTokenSource();
        var cutting = CutAsync(sandbox.Process!, cuts, done.Token);
        var count = 0;
        try
        {
            for (var cell = 0; cell < 4 || !cutting.IsCompleted; cell++, count++)
            {
                await RunCellAsync(repl, cell);
            }
        }
        finally
        {
            await done.CancelAsync();
            await cutting;
        }

        Assert.Equal(count * 12, paid.Count);
        Assert.All(paid, entry => Assert.Equal(1, entry.Value));
        Assert.Equal($"{count}\n", await repl.PrintAsync("print(runs)"));
    }

    private static async Task RunCellAsync(TestRepl repl, int cell)
    {
        var live = new StringBuilder();
        var code = $$"""
            from concurrent.futures import ThreadPoolExecutor
            import time
            runs = globals().get('runs', 0) + 1
            print('begin', flush=True)
            with ThreadPoolExecutor(4) as pool:
                for answer in pool.map(llm_query, [f'{{cell}}-{i}' for i in range(10)]):
                    print(answer)
                    time.sleep(0.01)
            print(llm_query('{{cell}}-a'), llm_query('{{cell}}-b'))
            """;
        var result = await repl.RunAsync(code, text => live.Append(text)).WaitAsync(TimeSpan.FromSeconds(60), Token);
        var expected = $"begin\n{string.Concat(Enumerable.Range(0, 10).Select(i => $"<{cell}-{i}>\n"))}<{cell}-a> <{cell}-b>\n";
        Assert.Equal((CellStatus.Ok, expected), (result.Status, result.Output));
        Assert.StartsWith(live.ToString(), expected, StringComparison.Ordinal);
    }

    private static async Task CutAsync(CutProcess process, List<(int OutputBytes, int InputBytes, int Down, int Up)> cuts, CancellationToken cancellationToken)
    {
        foreach (var (outputBytes, inputBytes, down, up) in cuts)
        {
            await Task.Delay(up, CancellationToken.None);
            process.Cut(outputBytes, inputBytes);
            await Task.Delay(down, CancellationToken.None);
            await process.AttachAsync();
            if (cancellationToken.IsCancellationRequested)
            {
                return;
            }
        }
    }
}
