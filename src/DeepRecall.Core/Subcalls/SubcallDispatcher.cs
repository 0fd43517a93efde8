using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using DeepRecall.Budgets;
using DeepRecall.Diagnostics;
using DeepRecall.Loop;
using DeepRecall.Repl;
using DeepRecall.Request;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Subcalls;

/// <summary>Serves the host functions that code of one run calls: sub-models, child runs and the caller's tools.</summary>
/// <remarks>Arguments come from model code and are checked here. A query function never throws: its failures are texts that start with <c>Error:</c>.</remarks>
internal sealed class SubcallDispatcher(RunScope scope, RlmRequest request, string runId, int depth, UsageTally tally)
{
    private const string LlmQuery = "llm_query";
    private const string LlmQueryBatched = "llm_query_batched";
    private const string RlmQuery = "rlm_query";
    private const string RlmQueryBatched = "rlm_query_batched";

    private readonly Lock _lock = new();
    private readonly ConcurrentDictionary<Task, bool> _running = new();
    private List<SubcallRecord> _records = [];

    /// <summary>The query functions, for the REPL to declare.</summary>
    public static IReadOnlyList<string> Functions { get; } = [LlmQuery, LlmQueryBatched, RlmQuery, RlmQueryBatched];

    /// <summary>Whether <c>rlm_query</c> runs a child, and is not just another <c>llm_query</c>.</summary>
    public bool HasChildren => depth + 1 < scope.Options.MaxDepth;

    /// <summary>Takes the calls that have ended since the last time, in the order in which they were made.</summary>
    public IReadOnlyList<SubcallRecord> TakeRecords()
    {
        lock (_lock)
        {
            var taken = _records;
            _records = [];
            taken.Sort((left, right) => left.Number.CompareTo(right.Number));
            return taken;
        }
    }

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
        switch (call.Name)
        {
            case LlmQuery or RlmQuery:
                return HostReply.Text(await QueryAsync(call.Name, Argument(call, "prompt"), Argument(call, "context"), Argument(call, "model"), cancellationToken).ConfigureAwait(false));
            case LlmQueryBatched or RlmQueryBatched:
                return HostReply.Texts(await QueryEachAsync(call, cancellationToken).ConfigureAwait(false));
            default:
                return HostReply.Json(await CallToolAsync(call, cancellationToken).ConfigureAwait(false));
        }
    }

    private static JsonElement Argument(CallParams call, string name) =>
        call.Arguments.ValueKind == JsonValueKind.Object && call.Arguments.TryGetProperty(name, out var value) ? value : default;

    private static bool IsAbsent(JsonElement value) => value.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null;

    private async Task<IReadOnlyList<string>> QueryEachAsync(CallParams call, CancellationToken cancellationToken)
    {
        var prompts = Argument(call, "prompts");
        if (prompts.ValueKind != JsonValueKind.Array)
        {
            return ["Error: prompts must be a list of strings"];
        }

        var count = prompts.GetArrayLength();
        var contexts = Argument(call, "contexts");
        if (!IsAbsent(contexts) && (contexts.ValueKind != JsonValueKind.Array || contexts.GetArrayLength() != count))
        {
            return [.. Enumerable.Repeat($"Error: contexts must be a list with one entry for each of the {count} prompts", count)];
        }

        var model = Argument(call, "model");
        var calls = prompts.EnumerateArray().Select((prompt, index) =>
            QueryAsync(call.Name, prompt, IsAbsent(contexts) ? default : contexts[index], model, cancellationToken));
        return await Task.WhenAll(calls).ConfigureAwait(false);
    }

    private async Task<string> QueryAsync(string function, JsonElement prompt, JsonElement context, JsonElement model, CancellationToken cancellationToken)
    {
        if (TryReadPrompt(prompt) is not { } messages)
        {
            return $"Error: the prompt must be a string, or a list of messages with role and content, not {NameOf(prompt)}";
        }

        if (!IsAbsent(model) && model.ValueKind != JsonValueKind.String)
        {
            return $"Error: the model must be a string, not {NameOf(model)}";
        }

        if (!scope.Router.TryFind(IsAbsent(model) ? null : model.GetString(), depth, out var client, out var problem))
        {
            return $"Error: {problem}";
        }

        var text = messages is [var only] ? only.Text : prompt.GetRawText();
        var asChild = function is RlmQuery or RlmQueryBatched && HasChildren;
        return asChild
            ? await RecordAsync(function, client.Name, text, () => RunChildAsync(client, text, context, cancellationToken), cancellationToken).ConfigureAwait(false)
            : await RecordAsync(function, client.Name, text, () => AskAsync(client, WithContext(messages, context), cancellationToken), cancellationToken).ConfigureAwait(false);
    }

    private async Task<SubcallOutcome> AskAsync(SubClient client, IReadOnlyList<ChatMessage> messages, CancellationToken cancellationToken)
    {
        var response = await scope.Limiter.CallModelAsync(
            () => client.Client.GetResponseAsync(messages, client.Options?.Clone(), cancellationToken).WaitAsync(cancellationToken),
            cancellationToken).ConfigureAwait(false);
        tally.Add(response?.Usage);
        var text = response?.Text;
        return string.IsNullOrWhiteSpace(text)
            ? new SubcallOutcome($"Error: the model '{client.Name}' returned no text{(response?.FinishReason is { } reason ? $" (finish reason: {reason})" : string.Empty)}", IsError: true, response?.Usage)
            : new SubcallOutcome(text, IsError: false, response!.Usage);
    }

    private async Task<SubcallOutcome> RunChildAsync(SubClient client, string prompt, JsonElement context, CancellationToken cancellationToken)
    {
        ContextSource source = context.ValueKind switch
        {
            JsonValueKind.Undefined or JsonValueKind.Null => new TextSource(prompt, ContextFormat.Text, null),
            JsonValueKind.String => new TextSource(context.GetString()!, ContextFormat.Text, null),
            _ => new TextSource(context.GetRawText(), ContextFormat.Json, null),
        };
        List<ContextSource> contexts = [source];
        string? questionVariable = null;
        if (prompt.Length > RequestMapper.MaxShownQuestion)
        {
            questionVariable = IsAbsent(context) ? "context" : "context_1";
            if (!IsAbsent(context))
            {
                contexts.Add(new TextSource(prompt, ContextFormat.Text, "the question"));
            }
        }

        var child = new RlmRequest
        {
            Question = prompt,
            QuestionVariable = questionVariable,
            Contexts = contexts,
            Tools = request.Tools,
            Instructions = client.Options?.Instructions,
            ModelOptions = RequestMapper.ToModelOptions(client.Options),
        };
        var childTally = new UsageTally(tally);
        return await scope.Limiter.RunChildAsync(
            depth + 1,
            async () =>
            {
                try
                {
                    var outcome = await new RlmLoop(scope, child, client.Client, Guid.NewGuid().ToString("N"), depth + 1, childTally).RunAsync(cancellationToken).ConfigureAwait(false);
                    return new SubcallOutcome(outcome.Answer, IsError: false, outcome.Trajectory.Usage, outcome.Trajectory);
                }
                catch (Exception error) when (error is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
                {
                    return new SubcallOutcome($"Error: the child run failed: {error.Message}", IsError: true, childTally.Snapshot(), error.GetTrajectory(), error);
                }
            },
            cancellationToken).ConfigureAwait(false);
    }

    private async Task<JsonElement> CallToolAsync(CallParams call, CancellationToken cancellationToken)
    {
        JsonElement result = default;
        Exception? failure = null;
        await RecordAsync(
            call.Name,
            model: null,
            IsAbsent(call.Arguments) ? "{}" : call.Arguments.GetRawText(),
            async () =>
            {
                try
                {
                    result = await request.Tools.InvokeAsync(call.Name, call.Arguments, scope.Services, cancellationToken).WaitAsync(cancellationToken).ConfigureAwait(false);
                    return new SubcallOutcome(result.GetRawText(), IsError: false, Usage: null);
                }
                catch (Exception error)
                {
                    failure = error;
                    return new SubcallOutcome($"Error: {error.Message}", IsError: true, Usage: null, Cause: error);
                }
            },
            cancellationToken).ConfigureAwait(false);

        // In Python a tool that fails raises its message.
        return failure is null ? result : throw new InvalidOperationException(failure.Message, failure);
    }

    private async Task<string> RecordAsync(string function, string? model, string prompt, Func<Task<SubcallOutcome>> call, CancellationToken cancellationToken)
    {
        var number = scope.NextSubcall();
        var started = scope.Time.GetTimestamp();
        var shown = Excerpt.Head(prompt);
        scope.Sink.WriteEvent(new SubcallStartedEvent(runId, depth, number, function, model, shown));
        SubcallOutcome outcome;
        try
        {
            outcome = await call().ConfigureAwait(false);
        }
        catch (OperationCanceledException error) when (cancellationToken.IsCancellationRequested)
        {
            outcome = new SubcallOutcome("Error: the call was cancelled", IsError: true, Usage: null, error.GetTrajectory(), error);
        }
        catch (Exception error)
        {
            outcome = new SubcallOutcome($"Error: {error.Message}", IsError: true, Usage: null, Cause: error);
        }

        if (outcome.IsError)
        {
            Log.SubcallFailed(scope.Logger, runId, number, function, outcome.Cause?.GetType().Name ?? "no text");
        }

        var record = new SubcallRecord
        {
            Number = number,
            Function = function,
            Depth = depth,
            Model = model,
            Prompt = shown,
            PromptLength = prompt.Length,
            Response = Excerpt.Head(outcome.Text),
            ResponseLength = outcome.Text.Length,
            IsError = outcome.IsError,
            Usage = outcome.Usage is null ? null : UsageTally.Copy(outcome.Usage),
            Duration = scope.Time.GetElapsedTime(started),
            Child = outcome.Child,
        };
        lock (_lock)
        {
            _records.Add(record);
        }

        scope.Sink.WriteEvent(new SubcallCompletedEvent(runId, depth, record));
        return outcome.Text;
    }

    private static List<ChatMessage>? TryReadPrompt(JsonElement prompt)
    {
        if (prompt.ValueKind == JsonValueKind.String)
        {
            return [new ChatMessage(ChatRole.User, prompt.GetString())];
        }

        if (prompt.ValueKind != JsonValueKind.Array || prompt.GetArrayLength() == 0)
        {
            return null;
        }

        List<ChatMessage> messages = [];
        foreach (var message in prompt.EnumerateArray())
        {
            if (message.ValueKind != JsonValueKind.Object
                || !message.TryGetProperty("role", out var role) || role.ValueKind != JsonValueKind.String || string.IsNullOrWhiteSpace(role.GetString())
                || !message.TryGetProperty("content", out var content) || content.ValueKind != JsonValueKind.String)
            {
                return null;
            }

            messages.Add(new ChatMessage(new ChatRole(role.GetString()!), content.GetString()));
        }

        return messages;
    }

    private static List<ChatMessage> WithContext(List<ChatMessage> messages, JsonElement context)
    {
        if (IsAbsent(context))
        {
            return messages;
        }

        var text = context.ValueKind == JsonValueKind.String ? context.GetString() : context.GetRawText();
        var last = messages[^1];
        return [.. messages[..^1], new ChatMessage(last.Role, new StringBuilder(last.Text).Append("\n\nContext:\n").Append(text).ToString())];
    }

    private static string NameOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Undefined or JsonValueKind.Null => "None",
        JsonValueKind.Number => "a number",
        JsonValueKind.True or JsonValueKind.False => "a bool",
        JsonValueKind.Array => "this list",
        JsonValueKind.Object => "a dict",
        _ => "a str",
    };

    private sealed record SubcallOutcome(string Text, bool IsError, UsageDetails? Usage, RlmTrajectory? Child = null, Exception? Cause = null);
}
