using System.Diagnostics;
using DeepRecall.Repl;
using DeepRecall.Sandboxes.Docker;
using DeepRecall.Sandboxing;
using Microsoft.Extensions.Logging.Abstractions;

namespace DeepRecall.Benchmarks;

/// <summary>The Docker environment, on the engine that DEEPRECALL_TEST_DOCKER_HOST names (build/engines.sh starts one), or DOCKER_HOST.</summary>
internal static class DockerBench
{
    private const int Starts = 20;
    private const int WarmUp = 200;
    private const int Cells = 2000;

    /// <summary>A container from nothing to a REPL, what of it the engine takes, its end, one that a pool has ready, and a trivial cell with a small and with a large context.</summary>
    public static async Task<IReadOnlyList<Figure>> RunAsync()
    {
        var sandbox = CreateSandbox();
        List<double> starts = [];
        List<double> processes = [];
        List<double> ends = [];
        for (var run = 0; run < Starts + 2; run++)
        {
            var started = Stopwatch.GetTimestamp();
            var repl = await StartAsync(sandbox, string.Empty);
            var ready = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            started = Stopwatch.GetTimestamp();
            await repl.DisposeAsync();
            var end = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            started = Stopwatch.GetTimestamp();
            var process = await sandbox.StartAsync(new SandboxStartRequest { WorkerSource = WorkerSource.Text, Nonce = "x" }, default);
            var running = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            await process.DisposeAsync();
            if (run >= 2)
            {
                starts.Add(ready);
                ends.Add(end);
                processes.Add(running);
            }
        }

        return
        [
            Figure.Of("docker_start", starts),
            Figure.Of("docker_start_engine", processes),
            Figure.Of("docker_end", ends),
            Figure.Of("docker_start_pooled", await PooledStartsAsync(sandbox)),
            Figure.Of("docker_turn", await CellsAsync(sandbox, string.Empty)),
            Figure.Of("docker_turn_50mb", await CellsAsync(sandbox, new string('x', 50_000_000))),
        ];
    }

    /// <summary>A REPL in a container that a pool has ready.</summary>
    private static async Task<List<double>> PooledStartsAsync(DockerSandbox sandbox)
    {
        List<double> times = [];
        await using var pool = new SandboxPool(sandbox, new SandboxPoolOptions { Size = 1 });
        for (var run = 0; run < Starts; run++)
        {
            // Not measured: what goes on between two requests, with Python's own start in the container.
            await pool.WarmAsync();
            await Task.Delay(500);
            var started = Stopwatch.GetTimestamp();
            await using var repl = await StartAsync(pool, string.Empty);
            times.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        }

        return times;
    }

    private static async Task<List<double>> CellsAsync(DockerSandbox sandbox, string context)
    {
        List<double> times = [];
        await using var repl = await StartAsync(sandbox, context);
        for (var cell = 0; cell < WarmUp + Cells; cell++)
        {
            var started = Stopwatch.GetTimestamp();
            await repl.ExecuteAsync("print(1)", null, default);
            if (cell >= WarmUp)
            {
                times.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            }
        }

        return times;
    }

    private static DockerSandbox CreateSandbox()
    {
        var options = new DockerSandboxOptions { Endpoint = Environment.GetEnvironmentVariable("DEEPRECALL_TEST_DOCKER_HOST") };
        if (Environment.GetEnvironmentVariable("DEEPRECALL_TEST_DOCKER_IMAGE") is { } image)
        {
            options.Image = image;
        }

        return new DockerSandbox(options);
    }

    private static Task<ReplSession> StartAsync(ISandbox sandbox, string context) => ReplSession.StartAsync(
        sandbox,
        new ReplSettings
        {
            OutputLimit = 20_000,
            AnswerJson = false,
            CellTimeout = TimeSpan.FromMinutes(1),
            InterruptGrace = TimeSpan.FromSeconds(2),
            StartTimeout = TimeSpan.FromMinutes(1),
            Functions = [],
            Tools = [],
        },
        [new Request.TextSource(context, Request.ContextFormat.Text, null)],
        null,
        (_, _) => throw new NotSupportedException(),
        TimeProvider.System,
        NullLogger.Instance,
        default);
}
