using System.Diagnostics;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Testing;
using Microsoft.Extensions.AI;

namespace DeepRecall.Benchmarks;

/// <summary>A whole completion with one turn and an instant model: a worker is started for it, and gone at its end.</summary>
internal static class CompletionBench
{
    public static async Task<IReadOnlyList<Figure>> ColdAsync()
    {
        List<double> times = [];
        using var client = new DeepRecallChatClient(new ScriptedChatClient("```repl\nFINAL(len(context))\n```"), new DeepRecallOptions { Sandbox = new LocalSandbox() });
        for (var run = 0; run < 60; run++)
        {
            var started = Stopwatch.GetTimestamp();
            await client.GetResponseAsync("How long does it take?");
            if (run >= 10)
            {
                times.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            }
        }

        return [Figure.Of("completion_cold", times)];
    }
}
