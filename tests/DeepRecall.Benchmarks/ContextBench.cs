using System.Diagnostics;
using DeepRecall.Repl;
using DeepRecall.Request;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxing;
using Microsoft.Extensions.Logging.Abstractions;

namespace DeepRecall.Benchmarks;

/// <summary>Loading 100 MB into the REPL, beside the least it can take: writing it to a file, reading that and decoding it, in the same Python.</summary>
internal static class ContextBench
{
    private const int Megabytes = 100;
    private const int Runs = 7;

    public static async Task<IReadOnlyList<Figure>> RunAsync()
    {
        var text = string.Create(Megabytes * 1_000_000, 0, static (span, _) =>
        {
            const string Line = "2026-01-01T00:00:00Z INFO worker-7 request 8123 handled in 12 ms\n";
            for (var index = 0; index < span.Length; index++)
            {
                span[index] = Line[index % Line.Length];
            }
        });
        List<double> loads = [];
        List<double> plain = [];
        List<double> cells = [];
        for (var run = 0; run <= Runs; run++)
        {
            var (load, cell) = await LoadAsync(text);
            var floor = await PlainAsync(text);
            if (run > 0)
            {
                loads.Add(load);
                plain.Add(floor);
                cells.Add(cell);
            }
        }

        return [Figure.Of("context_100mb", loads), Figure.Of("context_100mb_plain", plain), Figure.Of("context_100mb_cell", cells)];
    }

    private static async Task<(double Load, double Cell)> LoadAsync(string text)
    {
        var sandbox = new LocalSandbox();
        var empty = await StartAsync(sandbox, string.Empty);
        var full = await StartAsync(sandbox, text);
        return (full.Start - empty.Start, full.Cell);
    }

    private static async Task<(double Start, double Cell)> StartAsync(ISandbox sandbox, string text)
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
            sandbox, settings, [new TextSource(text, ContextFormat.Text, null)], null, (_, _) => throw new NotSupportedException(), TimeProvider.System, NullLogger.Instance, default);
        var start = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        await repl.ExecuteAsync("len(context)", null, default);
        started = Stopwatch.GetTimestamp();
        await repl.ExecuteAsync("len(context)", null, default);
        return (start, Stopwatch.GetElapsedTime(started).TotalMilliseconds);
    }

    private static async Task<double> PlainAsync(string text)
    {
        var python = await LocalSandbox.ResolveAsync(null);
        var path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        try
        {
            var started = Stopwatch.GetTimestamp();
            await File.WriteAllTextAsync(path, text);
            var write = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            const string Code = """
                import sys, time
                started = time.perf_counter()
                with open(sys.argv[1], "rb") as file:
                    text = file.read().decode("utf-8")
                print((time.perf_counter() - started) * 1000)
                """;
            var start = new ProcessStartInfo(python.Executable, ["-I", "-S", "-c", Code, path]) { RedirectStandardOutput = true };
            using var process = Process.Start(start)!;
            var read = await process.StandardOutput.ReadToEndAsync();
            await process.WaitForExitAsync();
            return write + double.Parse(read, System.Globalization.CultureInfo.InvariantCulture);
        }
        finally
        {
            File.Delete(path);
        }
    }
}
