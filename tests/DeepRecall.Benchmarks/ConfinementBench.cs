using System.Diagnostics;
using DeepRecall.Repl;
using DeepRecall.Sandboxes.Local;
using Microsoft.Extensions.Logging.Abstractions;

namespace DeepRecall.Benchmarks;

/// <summary>What confinement costs: at the start of a REPL, and in a cell. Both kinds take turns, so that what else the machine does befalls both.</summary>
internal static class ConfinementBench
{
    private const int WarmUp = 5;
    private const int Starts = 40;
    private const int Cells = 100;

    public static async Task<IReadOnlyList<Figure>> RunAsync()
    {
        var confined = new Samples(new LocalSandbox(new LocalSandboxOptions { Isolation = LocalIsolation.Required }));
        var free = new Samples(new LocalSandbox(new LocalSandboxOptions { Isolation = LocalIsolation.None }));
        for (var run = 0; run < WarmUp + Starts; run++)
        {
            await MeasureAsync(free, isWarm: run >= WarmUp);
            await MeasureAsync(confined, isWarm: run >= WarmUp);
        }

        return
        [
            Figure.Of("start_confined", confined.Starts),
            Figure.Of("start_unconfined", free.Starts),
            Figure.Of("cell_confined", confined.Cells),
            Figure.Of("cell_unconfined", free.Cells),
        ];
    }

    private static async Task MeasureAsync(Samples samples, bool isWarm)
    {
        var settings = new ReplSettings
        {
            OutputLimit = 20_000,
            AnswerJson = false,
            CellTimeout = TimeSpan.FromMinutes(1),
            InterruptGrace = TimeSpan.FromSeconds(2),
            StartTimeout = TimeSpan.FromMinutes(1),
            Functions = [],
            Tools = [],
        };
        var started = Stopwatch.GetTimestamp();
        await using var repl = await ReplSession.StartAsync(
            samples.Sandbox, settings, [], null, (_, _) => throw new NotSupportedException(), TimeProvider.System, NullLogger.Instance, default);
        var start = Stopwatch.GetElapsedTime(started);
        for (var cell = 0; cell < Cells; cell++)
        {
            started = Stopwatch.GetTimestamp();
            await repl.ExecuteAsync("print(1)", null, default);
            if (isWarm)
            {
                samples.Cells.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            }
        }

        if (isWarm)
        {
            samples.Starts.Add(start.TotalMilliseconds);
        }
    }

    private sealed record Samples(LocalSandbox Sandbox)
    {
        public List<double> Starts { get; } = [];

        public List<double> Cells { get; } = [];
    }
}
