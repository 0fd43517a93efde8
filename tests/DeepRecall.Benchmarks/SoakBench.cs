using System.Diagnostics;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Testing;
using Microsoft.Extensions.AI;

namespace DeepRecall.Benchmarks;

/// <summary>Ten thousand short completions in one process: what is open and what is held after the first thousand, and at the end.</summary>
internal static class SoakBench
{
    private const int Completions = 10_000;
    private const int WarmUp = 1_000;
    private const int AtOneTime = 4;

    public static async Task<IReadOnlyList<Figure>> RunAsync()
    {
        using var client = new DeepRecallChatClient(new ScriptedChatClient("```repl\nFINAL(llm_query('?') + str(len(context)))\n```") { KeepsRequests = false }, Options());
        await CompleteAsync(client, WarmUp);
        var before = State();
        await CompleteAsync(client, Completions - WarmUp);
        var after = State();
        return [.. before.Zip(after, (first, last) => new[] { new Figure($"soak_{first.Name}_at_{WarmUp}", first.Value, first.Value, first.Unit, WarmUp), new Figure($"soak_{last.Name}_at_{Completions}", last.Value, last.Value, last.Unit, Completions) }).SelectMany(pair => pair)];
    }

    private static DeepRecallOptions Options() => new()
    {
        Sandbox = new LocalSandbox(),
        SubClients = { new SubClient("sub", new ScriptedChatClient(_ => "n") { KeepsRequests = false }) },
        MaxTokens = 100_000,
        MaxDuration = TimeSpan.FromMinutes(5),
    };

    private static Task CompleteAsync(DeepRecallChatClient client, int count) =>
        Parallel.ForEachAsync(Enumerable.Range(0, count), new ParallelOptions { MaxDegreeOfParallelism = AtOneTime }, async (_, token) =>
        {
            var response = await client.GetResponseAsync("How long does it take?", cancellationToken: token);
            if (response.Text != "n22")
            {
                throw new InvalidOperationException($"A completion came to '{response.Text}'.");
            }
        });

    private static IReadOnlyList<(string Name, double Value, string Unit)> State()
    {
        for (var round = 0; round < 3; round++)
        {
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true);
            GC.WaitForPendingFinalizers();
        }

        using var process = Process.GetCurrentProcess();
        var children = OperatingSystem.IsLinux()
            ? Directory.EnumerateDirectories("/proc/self/task").Sum(task => File.ReadAllText(Path.Combine(task, "children")).Split(' ', StringSplitOptions.RemoveEmptyEntries).Length)
            : 0;
        return
        [
            ("handles", process.HandleCount, "n"),
            ("threads", process.Threads.Count, "n"),
            ("children", children, "n"),
            ("managed", Math.Round(GC.GetTotalMemory(forceFullCollection: true) / 1048576.0, 2), "MiB"),
            ("resident", Math.Round(process.WorkingSet64 / 1048576.0, 1), "MiB"),
        ];
    }
}
