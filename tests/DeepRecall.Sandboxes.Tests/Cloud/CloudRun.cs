using System.Collections.Concurrent;
using System.Text;
using DeepRecall.Repl;
using DeepRecall.Sandboxing;
using DeepRecall.Trajectory;

namespace DeepRecall.Sandboxes.Tests.Cloud;

/// <summary>A REPL that is put to work while its connection is disturbed, and the proof that nothing was lost and nothing done twice.</summary>
internal sealed class CloudRun : IAsyncDisposable
{
    private const int CallsPerCell = 8;

    private readonly ConcurrentDictionary<string, int> _paid = new(StringComparer.Ordinal);
    private TestRepl? _repl;
    private int _cells;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public TestRepl Repl => _repl!;

    public static async Task<CloudRun> StartAsync(ISandbox sandbox)
    {
        var run = new CloudRun();
        run._repl = await TestRepl.StartAsync(sandbox, TestRepl.Settings, async (call, token) =>
        {
            var prompt = TestRepl.Prompt(call);
            run._paid.AddOrUpdate(prompt, 1, (_, count) => count + 1);
            await Task.Delay(Random.Shared.Next(4), token);
            return HostReply.Text($"<{prompt}>");
        });
        return run;
    }

    /// <summary>Runs cells until the disturbance is over, and at least a few.</summary>
    public async Task WorkUntilAsync(Task disturbance)
    {
        for (var cell = 0; cell < 3 || !disturbance.IsCompleted; cell++)
        {
            await RunCellAsync();
        }

        await disturbance;
        await RunCellAsync();
    }

    public async Task RunCellAsync()
    {
        var cell = _cells++;
        var live = new StringBuilder();
        var code = $$"""
            from concurrent.futures import ThreadPoolExecutor
            import time
            runs = globals().get('runs', 0) + 1
            print('begin', flush=True)
            with ThreadPoolExecutor(4) as pool:
                for answer in pool.map(llm_query, [f'{{cell}}-{i}' for i in range({{CallsPerCell}})]):
                    print(answer)
                    time.sleep(0.005)
            print(runs, 'x' * 5000)
            """;
        var result = await Repl.RunAsync(code, text => live.Append(text)).WaitAsync(TimeSpan.FromSeconds(120), Token);
        var expected = $"begin\n{string.Concat(Enumerable.Range(0, CallsPerCell).Select(i => $"<{cell}-{i}>\n"))}{cell + 1} {new string('x', 5000)}\n";
        Assert.True(result.Status == CellStatus.Ok, $"{result.Status}: {result.Error}");
        Assert.Equal(expected, result.Output);
        Assert.StartsWith(live.ToString(), expected, StringComparison.Ordinal);
    }

    /// <summary>Fails unless each call was made, and paid for, exactly once.</summary>
    public void AssertEachCallWasPaidOnce()
    {
        Assert.Equal(_cells * CallsPerCell, _paid.Count);
        Assert.All(_paid, entry => Assert.True(entry.Value == 1, $"{entry.Key} was paid {entry.Value} times"));
    }

    public async ValueTask DisposeAsync()
    {
        if (_repl is not null)
        {
            await _repl.DisposeAsync();
        }
    }
}
