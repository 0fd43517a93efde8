using System.Globalization;
using System.Text.Json;
using DeepRecall.Answers;
using DeepRecall.Budgets;
using DeepRecall.Loop;
using DeepRecall.Request;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Subcalls;

/// <summary>Asks sub-models and runs children, for code of one run. A query never throws: its failure is a text that starts with <c>Error:</c>.</summary>
internal sealed class SubQueries(RunScope scope, RlmRequest request, int depth, UsageTally tally, SubcallRecorder recorder)
{
    /// <summary>Whether <c>rlm_query</c> runs a child, and is not just another <c>llm_query</c>.</summary>
    public bool HasChildren => depth + 1 < scope.Options.MaxDepth;

    /// <summary>Serves one query.</summary>
    public async Task<SubcallOutcome> QueryAsync(SubQuery query, CancellationToken cancellationToken)
    {
        if (PromptReader.TryRead(query.Prompt) is not { } messages)
        {
            return Refused($"the prompt must be a string, or a list of messages with role and content, not {PromptReader.NameOf(query.Prompt)}");
        }

        if (!PromptReader.IsAbsent(query.Model) && query.Model.ValueKind != JsonValueKind.String)
        {
            return Refused($"the model must be a string, not {PromptReader.NameOf(query.Model)}");
        }

        if (!PromptReader.IsAbsent(query.Schema) && query.Schema.ValueKind != JsonValueKind.Object)
        {
            return Refused($"the schema must be a dict, a JSON Schema, not {PromptReader.NameOf(query.Schema)}");
        }

        if (!scope.Router.TryFind(PromptReader.IsAbsent(query.Model) ? null : query.Model.GetString(), depth, out var client, out var problem))
        {
            return Refused(problem);
        }

        var text = messages is [var only] ? only.Text : query.Prompt.GetRawText();
        var asChild = query.MayRunChild && HasChildren;
        var sent = asChild ? messages : PromptReader.WithContext(messages, query.Context);
        if (!asChild && TooLong(sent) is { } tooLong)
        {
            return Refused(tooLong);
        }

        if (scope.Ledger.CountSubcall() is { } used)
        {
            return Refused(used);
        }

        var format = PromptReader.IsAbsent(query.Schema) ? AnswerFormat.Text : AnswerFormat.FromSchema(query.Schema);
        return await recorder.RecordAsync(
            query.Function,
            client.Name,
            text,
            () => asChild ? RunChildAsync(client, text, query.Context, format, cancellationToken) : AskAsync(client, sent, format, cancellationToken),
            cancellationToken).ConfigureAwait(false);
    }

    private static SubcallOutcome Refused(string problem) => new($"Error: {problem}", IsError: true);

    private string? TooLong(List<ChatMessage> messages)
    {
        long length = messages.Sum(message => (long)message.Text.Length);
        return length <= (scope.Options.MaxSubcallPromptChars ?? long.MaxValue) ? null : string.Create(
            CultureInfo.InvariantCulture,
            $"the prompt has {length:N0} characters, the limit is {scope.Options.MaxSubcallPromptChars:N0} ({nameof(DeepRecallOptions.MaxSubcallPromptChars)}); cut the text into pieces of fewer characters, ask about each with llm_query_batched, and combine the answers");
    }

    private async Task<SubcallOutcome> AskAsync(SubClient client, List<ChatMessage> messages, AnswerFormat format, CancellationToken cancellationToken)
    {
        var usage = new UsageTally(tally);
        var options = client.Options;
        if (format.Schema is { } schema)
        {
            options = options?.Clone() ?? new ChatOptions();
            options.ResponseFormat = ChatResponseFormat.ForJsonSchema(schema);
        }

        for (var repairs = 0; ; repairs++)
        {
            var prompt = messages;
            ChatResponse? response;
            UsageDetails? spent;
            try
            {
                (response, spent) = await scope.Meter.CallAsync(
                    client.Client,
                    client.Info,
                    prompt,
                    options,
                    usage,
                    async (own, _, token) => await client.Client.GetResponseAsync(prompt, own, token).ConfigureAwait(false),
                    cancellationToken).ConfigureAwait(false);
            }
            catch (Exception error) when (repairs > 0 && !cancellationToken.IsCancellationRequested)
            {
                return new SubcallOutcome($"Error: {error.Message}", IsError: true, usage.Snapshot(), Cause: error);
            }

            var text = response?.Text;
            var total = repairs == 0 ? spent : usage.Snapshot();
            if (string.IsNullOrWhiteSpace(text))
            {
                return new SubcallOutcome($"Error: the model '{client.Name}' returned no text{(response?.FinishReason is { } reason ? $" (finish reason: {reason})" : string.Empty)}", IsError: true, total);
            }

            var answer = text;
            if (format.Accepts(ref answer, out var problem))
            {
                return new SubcallOutcome(answer, IsError: false, total);
            }

            if (repairs == scope.Options.MaxAnswerRepairs)
            {
                return new SubcallOutcome($"Error: the model's answer does not fit the schema: {problem}. It was: {Excerpt.Head(text)}", IsError: true, total);
            }

            messages = [.. messages, new ChatMessage(ChatRole.Assistant, text), new ChatMessage(ChatRole.User, $"That does not fit the schema: {problem}. Reply with the corrected JSON alone.")];
        }
    }

    private async Task<SubcallOutcome> RunChildAsync(SubClient client, string prompt, JsonElement context, AnswerFormat format, CancellationToken cancellationToken)
    {
        var hasContext = !PromptReader.IsAbsent(context);
        ContextSource source = context.ValueKind switch
        {
            _ when !hasContext => new TextSource(prompt, ContextFormat.Text, null),
            JsonValueKind.String => new TextSource(context.GetString()!, ContextFormat.Text, null),
            _ => new TextSource(context.GetRawText(), ContextFormat.Json, null),
        };
        List<ContextSource> contexts = [source];
        int? questionIndex = null;
        if (prompt.Length > RequestMapper.MaxShownQuestion)
        {
            questionIndex = hasContext ? 1 : 0;
            if (hasContext)
            {
                contexts.Add(new TextSource(prompt, ContextFormat.Text, "the question"));
            }
        }

        var child = new RlmRequest
        {
            Question = prompt,
            QuestionIndex = questionIndex,
            Contexts = contexts,
            Tools = request.Tools.ForChildren(scope.Options.ChildTools),
            Instructions = client.Options?.Instructions,
            Answer = format,
            ModelOptions = RequestMapper.ToModelOptions(client.Options),
        };
        var childTally = new UsageTally(tally);
        return await scope.Limiter.RunChildAsync(
            depth + 1,
            async () =>
            {
                try
                {
                    var loop = new RlmLoop(scope, child, client.Client, client.Info, Guid.NewGuid().ToString("N"), depth + 1, childTally);
                    return ToOutcome(await loop.RunAsync(cancellationToken, cancellationToken).ConfigureAwait(false));
                }
                catch (Exception error) when (error is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
                {
                    return new SubcallOutcome($"Error: the child run failed: {error.Message}", IsError: true, childTally.Snapshot(), error.GetTrajectory(), error);
                }
            },
            cancellationToken).ConfigureAwait(false);
    }

    // A child that a limit ended still has what it had found.
    private static SubcallOutcome ToOutcome(RlmOutcome outcome) =>
        outcome.HasAnswer
            ? new SubcallOutcome(outcome.Answer, IsError: false, outcome.Trajectory.Usage, outcome.Trajectory)
            : new SubcallOutcome($"Error: {outcome.Answer}", IsError: true, outcome.Trajectory.Usage, outcome.Trajectory);
}

/// <summary>A query as model code made it.</summary>
/// <param name="Function">The function that was called.</param>
/// <param name="MayRunChild">Whether it may run a child.</param>
/// <param name="Prompt">What to ask.</param>
/// <param name="Context">The child's context, if any.</param>
/// <param name="Model">The model's name, if any.</param>
/// <param name="Schema">What the answer must fit, if anything.</param>
internal sealed record SubQuery(string Function, bool MayRunChild, JsonElement Prompt, JsonElement Context, JsonElement Model, JsonElement Schema);
