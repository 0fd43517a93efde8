using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using DeepRecall.Budgets;
using DeepRecall.Loop;
using DeepRecall.Repl;
using DeepRecall.Request;
using DeepRecall.Retrieval;
using DeepRecall.Trajectory;

namespace DeepRecall.Subcalls;

/// <summary>Serves the host functions that code of one run calls: sub-models, child runs, searches and the caller's tools.</summary>
/// <remarks>Arguments come from model code and are checked here.</remarks>
internal sealed class SubcallDispatcher
{
    private const string LlmQuery = "llm_query";
    private const string LlmQueryBatched = "llm_query_batched";
    private const string RlmQuery = "rlm_query";
    private const string RlmQueryBatched = "rlm_query_batched";

    private readonly ConcurrentDictionary<Task, bool> _running = new();
    private readonly RunScope _scope;
    private readonly RlmRequest _request;
    private readonly SubcallRecorder _recorder;
    private readonly SubQueries _queries;
    private readonly SearchCalls? _search;
    private volatile Activity? _cell;

    public SubcallDispatcher(RunScope scope, RlmRequest request, string runId, int depth, UsageTally tally)
    {
        _scope = scope;
        _request = request;
        _recorder = new SubcallRecorder(scope, runId, depth);
        _queries = new SubQueries(scope, request, depth, tally, _recorder);
        _search = scope.Options.SearchSource is { } source ? new SearchCalls(source, scope.Ledger) : null;
        Functions = _search is null ? [LlmQuery, LlmQueryBatched, RlmQuery, RlmQueryBatched] : [LlmQuery, LlmQueryBatched, RlmQuery, RlmQueryBatched, SearchCalls.Name];
    }

    /// <summary>The host's own functions, for the REPL to declare.</summary>
    public IReadOnlyList<string> Functions { get; }

    /// <inheritdoc cref="SubQueries.HasChildren" />
    public bool HasChildren => _queries.HasChildren;

    /// <inheritdoc cref="SubcallRecorder.TakeRecords" />
    public IReadOnlyList<SubcallRecord> TakeRecords() => _recorder.TakeRecords();

    /// <summary>Begins a cell: what it calls belongs to what is current now.</summary>
    /// <remarks>Calls come from the REPL's pipe, where nothing of the request is current.</remarks>
    public void BeginCell() => _cell = Activity.Current;

    /// <summary>Serves a call.</summary>
    public async Task<HostReply> CallAsync(CallParams call, CancellationToken cancellationToken)
    {
        var running = DispatchAsync(call, cancellationToken);
        _running.TryAdd(running, true);
        try
        {
            return await running.ConfigureAwait(false);
        }
        finally
        {
            _running.TryRemove(running, out _);
        }
    }

    /// <summary>Waits for the calls that a cell left behind; they are cancelled, so what is awaited is the end of what they started.</summary>
    public async Task DrainAsync()
    {
        foreach (var running in _running.Keys)
        {
            await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task<HostReply> DispatchAsync(CallParams call, CancellationToken cancellationToken)
    {
        Activity.Current = _cell;
        switch (call.Name)
        {
            case LlmQuery or RlmQuery:
                var schema = Schema(call);
                var query = new SubQuery(call.Name, call.Name == RlmQuery, PromptReader.Argument(call, "prompt"), PromptReader.Argument(call, "context"), PromptReader.Argument(call, "model"), schema);
                var outcome = await _queries.QueryAsync(query, cancellationToken).ConfigureAwait(false);
                return PromptReader.IsAbsent(schema) || outcome.IsError ? HostReply.Text(outcome.Text) : HostReply.RawJson(outcome.Text);
            case LlmQueryBatched or RlmQueryBatched:
                return await QueryEachAsync(call, cancellationToken).ConfigureAwait(false);
            case SearchCalls.Name when _search is not null:
                return HostReply.Json(await CallOrThrowAsync(call, () => _search.SearchAsync(call, cancellationToken), cancellationToken).ConfigureAwait(false));
            default:
                return HostReply.Json(await CallOrThrowAsync(
                    call,
                    () => _request.Tools.InvokeAsync(call.Name, call.Arguments, _scope.Services, cancellationToken).WaitAsync(cancellationToken),
                    cancellationToken).ConfigureAwait(false));
        }
    }

    private static JsonElement Schema(CallParams call) => call.Name is RlmQuery or RlmQueryBatched ? PromptReader.Argument(call, "schema") : default;

    private async Task<HostReply> QueryEachAsync(CallParams call, CancellationToken cancellationToken)
    {
        var prompts = PromptReader.Argument(call, "prompts");
        if (prompts.ValueKind != JsonValueKind.Array)
        {
            return HostReply.Texts(["Error: prompts must be a list of strings"]);
        }

        var count = prompts.GetArrayLength();
        var contexts = PromptReader.Argument(call, "contexts");
        if (!PromptReader.IsAbsent(contexts) && (contexts.ValueKind != JsonValueKind.Array || contexts.GetArrayLength() != count))
        {
            return HostReply.Texts([.. Enumerable.Repeat($"Error: contexts must be a list with one entry for each of the {count} prompts", count)]);
        }

        var model = PromptReader.Argument(call, "model");
        var schema = Schema(call);
        var calls = prompts.EnumerateArray().Select((prompt, index) => _queries.QueryAsync(
            new SubQuery(call.Name, call.Name == RlmQueryBatched, prompt, PromptReader.IsAbsent(contexts) ? default : contexts[index], model, schema),
            cancellationToken));
        var outcomes = await Task.WhenAll(calls).ConfigureAwait(false);
        return PromptReader.IsAbsent(schema)
            ? HostReply.Texts([.. outcomes.Select(outcome => outcome.Text)])
            : HostReply.All([.. outcomes.Select(outcome => outcome.IsError ? HostReply.Text(outcome.Text) : HostReply.RawJson(outcome.Text))]);
    }

    /// <summary>Calls what in Python raises the message of its failure.</summary>
    private async Task<JsonElement> CallOrThrowAsync(CallParams call, Func<Task<JsonElement>> invoke, CancellationToken cancellationToken)
    {
        JsonElement result = default;
        Exception? failure = null;
        await _recorder.RecordAsync(
            call.Name,
            model: null,
            PromptReader.IsAbsent(call.Arguments) ? "{}" : call.Arguments.GetRawText(),
            async () =>
            {
                try
                {
                    result = await invoke().ConfigureAwait(false);
                    return new SubcallOutcome(result.GetRawText(), IsError: false);
                }
                catch (Exception error)
                {
                    failure = error;
                    return new SubcallOutcome($"Error: {error.Message}", IsError: true, Cause: error);
                }
            },
            cancellationToken).ConfigureAwait(false);
        return failure is null ? result : throw new InvalidOperationException(failure.Message, failure);
    }
}
