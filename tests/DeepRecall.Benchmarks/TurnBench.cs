using System.Diagnostics;
using System.Globalization;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Benchmarks;

/// <summary>What a turn and a sub-call cost beside the models, which answer at once here.</summary>
internal static class TurnBench
{
    private const int WarmUpRuns = 4; // until the host's code is compiled as it stays
    private const int Runs = 12;
    private const int Turns = 300;
    private const int WarmUp = 50;

    /// <summary>A trivial cell through the whole loop: from one call of the root model to the next.</summary>
    public static async Task<IReadOnlyList<Figure>> TurnAsync()
    {
        List<double> times = [];
        for (var run = 0; run < WarmUpRuns + Runs; run++)
        {
            await RunAsync(run < WarmUpRuns ? [] : times);
        }

        return [Figure.Of("turn", times)];
    }

    private static async Task RunAsync(List<double> times)
    {
        long last = 0;
        var turns = 0;
        var model = new RecyclingClient(() =>
        {
            var now = Stopwatch.GetTimestamp();
            if (++turns > WarmUp)
            {
                times.Add(Stopwatch.GetElapsedTime(last, now).TotalMilliseconds);
            }

            last = Stopwatch.GetTimestamp();
            return turns == Turns ? "```repl\nFINAL('done')\n```" : "```repl\nprint(1)\n```";
        });
        using var client = new DeepRecallChatClient(model, new DeepRecallOptions { Sandbox = new LocalSandbox(), MaxIterations = Turns });
        await client.GetResponseAsync("How long does a turn take?");
    }

    /// <summary>One <c>llm_query</c>, as the code in the REPL sees it.</summary>
    public static async Task<IReadOnlyList<Figure>> LlmQueryAsync()
    {
        const string Code = """
            ```repl
            import time
            times = []
            for i in range(3500):
                started = time.perf_counter()
                llm_query("x")
                times.append((time.perf_counter() - started) * 1000)
            FINAL(" ".join("%.5f" % each for each in times[500:]))
            ```
            """;
        var options = new DeepRecallOptions { Sandbox = new LocalSandbox() };
        options.SubClients.Add(new SubClient("sub", new RecyclingClient(() => "y")));
        using var client = new DeepRecallChatClient(new ScriptedChatClient(Code), options);
        var response = await client.GetResponseAsync("How long does a sub-call take?");
        return [Figure.Of("llm_query", [.. response.Text.Split(' ').Select(value => double.Parse(value, CultureInfo.InvariantCulture))])];
    }

    /// <summary>1,000 prompts of 50 ms each in one batch, 16 at a time; 63 rounds of 50 ms are the least it can take.</summary>
    public static async Task<IReadOnlyList<Figure>> BatchedAsync()
    {
        List<double> times = [];
        for (var run = 0; run < 3; run++)
        {
            var options = new DeepRecallOptions { Sandbox = new LocalSandbox() };
            options.SubClients.Add(new SubClient("sub", new ScriptedChatClient(_ => "y") { Latency = TimeSpan.FromMilliseconds(50) }));
            using var client = new DeepRecallChatClient(new ScriptedChatClient("```repl\nFINAL(len(llm_query_batched(['x'] * 1000)))\n```"), options);
            var response = await client.GetResponseAsync("How long does a batch take?");
            times.Add(response.GetTrajectory()!.Turns[0].Cells[0].Duration.TotalMilliseconds);
        }

        return [Figure.Of("batched_16", times)];
    }

    /// <summary>A model that answers at once and keeps nothing, so that only the engine is measured.</summary>
    private sealed class RecyclingClient(Func<string> reply) : IChatClient
    {
        public Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
            Task.FromResult(new ChatResponse(new ChatMessage(ChatRole.Assistant, reply())));

        public IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
            throw new NotSupportedException("This bench does not stream.");

        public object? GetService(Type serviceType, object? serviceKey = null) => null;

        public void Dispose()
        {
        }
    }
}
