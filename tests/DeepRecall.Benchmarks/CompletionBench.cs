using System.Diagnostics;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxing;
using DeepRecall.Testing;
using Microsoft.Extensions.AI;

namespace DeepRecall.Benchmarks;

/// <summary>A whole completion with one turn and an instant model, confined as by default.</summary>
internal static class CompletionBench
{
    private const int WarmUp = 10;
    private const int Runs = 60;

    /// <summary>A worker is started for it, and gone at its end.</summary>
    public static async Task<IReadOnlyList<Figure>> ColdAsync() => [Figure.Of("completion_cold", await MeasureAsync(new LocalSandbox(), () => Task.CompletedTask))];

    /// <summary>A worker waits for it in a pool, and is gone at its end.</summary>
    public static async Task<IReadOnlyList<Figure>> WarmAsync()
    {
        await using var pool = new SandboxPool(new LocalSandbox());
        return [Figure.Of("completion_warm", await MeasureAsync(pool, async () =>
        {
            // Not measured: what the pool does between two requests.
            await pool.WarmAsync();
            await Task.Delay(50);
        }))];
    }

    private static async Task<List<double>> MeasureAsync(ISandbox sandbox, Func<Task> prepare)
    {
        List<double> times = [];
        using var client = new DeepRecallChatClient(new ScriptedChatClient(_ => "```repl\nFINAL(len(context))\n```"), new DeepRecallOptions { Sandbox = sandbox });
        for (var run = 0; run < Runs; run++)
        {
            await prepare();
            var started = Stopwatch.GetTimestamp();
            await client.GetResponseAsync("How long does it take?");
            if (run >= WarmUp)
            {
                times.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            }
        }

        return times;
    }
}
