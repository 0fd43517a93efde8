using System.Text.Json;
using DeepRecall.Repl;
using DeepRecall.Request;
using DeepRecall.Sandboxing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging.Abstractions;

namespace DeepRecall.Sandboxes.Tests;

/// <summary>A REPL for a test, and the host functions that it calls.</summary>
internal sealed class TestRepl : IAsyncDisposable
{
    private readonly ReplSession _session;

    private TestRepl(ReplSession session) => _session = session;

    public static ReplSettings Settings { get; } = new()
    {
        OutputLimit = 20_000,
        AnswerJson = false,
        CellTimeout = TimeSpan.FromMinutes(2),
        InterruptGrace = TimeSpan.FromSeconds(20),
        StartTimeout = TimeSpan.FromMinutes(1),
        Functions = ["llm_query", "llm_query_batched", "rlm_query", "rlm_query_batched"],
        Tools = [],
    };

    public ReplSession Session => _session;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static Task<TestRepl> StartAsync(ISandbox sandbox, params AIContent[] contexts) => StartAsync(sandbox, Settings, contexts: contexts);

    public static async Task<TestRepl> StartAsync(
        ISandbox sandbox,
        ReplSettings settings,
        Func<CallParams, CancellationToken, Task<HostReply>>? host = null,
        string? history = null,
        IReadOnlyList<AIContent>? contexts = null)
    {
        var sources = (contexts ?? []).Select(context => (ContextSource)context.RawRepresentation!).ToArray();
        var session = await ReplSession.StartAsync(sandbox, settings, sources, history, host ?? Echo, TimeProvider.System, NullLogger.Instance, Token);
        return new TestRepl(session);
    }

    /// <summary>Answers a query with its prompt, and a batch with its prompts.</summary>
    public static Task<HostReply> Echo(CallParams call, CancellationToken cancellationToken) =>
        Task.FromResult(call.Arguments.TryGetProperty("prompts", out var prompts)
            ? HostReply.Texts([.. prompts.EnumerateArray().Select(prompt => $"echo: {prompt}")])
            : HostReply.Text($"echo: {Prompt(call)}"));

    public static string Prompt(CallParams call) => call.Arguments.TryGetProperty("prompt", out var prompt) ? prompt.ToString() : string.Empty;

    public Task<CellResult> RunAsync(string code, Action<string>? onOutput = null) => _session.ExecuteAsync(code, onOutput, Token);

    /// <summary>Runs code that must come to its end, and returns what it printed.</summary>
    public async Task<string> PrintAsync(string code)
    {
        var result = await RunAsync(code);
        Assert.True(result.Status == CellStatus.Ok, $"{result.Status}: {result.Error}");
        return result.Output;
    }

    /// <summary>Runs an expression and returns its value as JSON.</summary>
    public async Task<JsonElement> ValueAsync(string expression)
    {
        var output = await PrintAsync($"import json as _json\nprint(_json.dumps({expression}))");
        using var document = JsonDocument.Parse(output);
        return document.RootElement.Clone();
    }

    public ValueTask DisposeAsync() => _session.DisposeAsync();
}
