using System.Diagnostics;
using DeepRecall.Repl;
using DeepRecall.Request;
using DeepRecall.Sandboxes.Daytona;
using DeepRecall.Sandboxes.E2B;
using DeepRecall.Sandboxes.Modal;
using DeepRecall.Sandboxes.Prime;
using DeepRecall.Sandboxing;
using DeepRecall.Testing.Emulators.Daytona;
using DeepRecall.Testing.Emulators.E2B;
using DeepRecall.Testing.Emulators.Modal;
using DeepRecall.Testing.Emulators.Prime;
using Microsoft.Extensions.Logging.Abstractions;

namespace DeepRecall.Benchmarks;

/// <summary>What a cloud environment costs beside the way to it: against its emulator, over loopback.</summary>
internal static class CloudBench
{
    private const int WarmUp = 300;
    private const int Cells = 1500;

    public static async Task<IReadOnlyList<Figure>> E2BAsync()
    {
        await using var emulator = new E2BEmulator();
        await emulator.StartAsync();
        var sandbox = new E2BSandbox(new E2BSandboxOptions { ApiKey = emulator.ApiKey, ApiUrl = emulator.Url, SandboxUrl = emulator.Url });
        return await MeasureAsync("e2b", sandbox);
    }

    public static async Task<IReadOnlyList<Figure>> PrimeAsync()
    {
        await using var emulator = new PrimeEmulator();
        await emulator.StartAsync();
        var sandbox = new PrimeSandbox(new PrimeSandboxOptions { ApiKey = emulator.ApiKey, BaseUrl = emulator.Url });
        return await MeasureAsync("prime", sandbox);
    }

    public static async Task<IReadOnlyList<Figure>> ModalAsync()
    {
        await using var emulator = new ModalEmulator();
        await emulator.StartAsync();
        var sandbox = new ModalSandbox(new ModalSandboxOptions { TokenId = ModalEmulator.TokenId, TokenSecret = ModalEmulator.TokenSecret, ServerUrl = emulator.Url });
        return await MeasureAsync("modal", sandbox);
    }

    public static async Task<IReadOnlyList<Figure>> DaytonaAsync()
    {
        await using var emulator = new DaytonaEmulator();
        await emulator.StartAsync();
        emulator.Faults.StartStates = [];
        var sandbox = new DaytonaSandbox(new DaytonaSandboxOptions { ApiKey = DaytonaEmulator.ApiKey, ApiUrl = emulator.ApiUrl });
        return await MeasureAsync("daytona", sandbox);
    }

    /// <summary>The start, a trivial cell, a sub-call, and a context of 100 MB.</summary>
    private static async Task<IReadOnlyList<Figure>> MeasureAsync(string name, ISandbox sandbox)
    {
        List<double> starts = [];
        for (var run = 0; run < 12; run++)
        {
            var begun = Stopwatch.GetTimestamp();
            await using var started = await StartAsync(sandbox, []);
            starts.Add(Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
        }

        List<double> cells = [];
        List<double> calls = [];
        await using (var repl = await StartAsync(sandbox, []))
        {
            for (var cell = 0; cell < WarmUp + Cells; cell++)
            {
                var begun = Stopwatch.GetTimestamp();
                await repl.ExecuteAsync("print(1)", null, CancellationToken.None);
                cells.Add(Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
            }

            var result = await repl.ExecuteAsync("import time\ntimes = []\nfor i in range(1800):\n    started = time.perf_counter()\n    llm_query('x')\n    times.append((time.perf_counter() - started) * 1000)\nprint(' '.join('%.4f' % each for each in times[300:]))", null, CancellationToken.None);
            calls.AddRange(result.Output.Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries).Select(value => double.Parse(value, System.Globalization.CultureInfo.InvariantCulture)));
        }

        return
        [
            Figure.Of($"{name}_start", starts[2..]),
            Figure.Of($"{name}_turn", cells[WarmUp..]),
            Figure.Of($"{name}_llm_query", calls),
            .. await UploadAsync(name, sandbox),
        ];
    }

    private static async Task<IReadOnlyList<Figure>> UploadAsync(string name, ISandbox sandbox)
    {
        const int Megabytes = 100;
        var path = Path.GetTempFileName();
        try
        {
            await File.WriteAllBytesAsync(path, Enumerable.Repeat((byte)'x', Megabytes * 1_000_000).ToArray());
            List<double> times = [];
            List<double> allocated = [];
            for (var run = 0; run < 4; run++)
            {
                var before = GC.GetTotalAllocatedBytes(precise: true);
                var begun = Stopwatch.GetTimestamp();
                await using var repl = await StartAsync(sandbox, [(ContextSource)ContextContent.FromFile(path).RawRepresentation!]);
                times.Add(Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
                allocated.Add((GC.GetTotalAllocatedBytes(precise: true) - before) / 1e6);
            }

            // What host and emulator allocate together: far less than the context, which is never whole in memory.
            return [Figure.Of($"{name}_context_100mb", times[1..]), Figure.Of($"{name}_context_alloc", allocated[1..]) with { Unit = "MB" }];
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static Task<ReplSession> StartAsync(ISandbox sandbox, IReadOnlyList<ContextSource> contexts)
    {
        var settings = new ReplSettings
        {
            OutputLimit = 50_000,
            AnswerJson = false,
            CellTimeout = TimeSpan.FromMinutes(5),
            InterruptGrace = TimeSpan.FromSeconds(5),
            StartTimeout = TimeSpan.FromMinutes(1),
            Functions = ["llm_query"],
            Tools = [],
        };
        return ReplSession.StartAsync(sandbox, settings, contexts, null, (_, _) => Task.FromResult(HostReply.Text("y")), TimeProvider.System, NullLogger.Instance, CancellationToken.None);
    }
}
