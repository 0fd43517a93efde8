using System.Text;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;
using Xunit;

namespace DeepRecall.Testing;

/// <summary>One request, run unstreamed and streamed, each with a model of its own; both must come to the same.</summary>
public sealed class Plan(Func<ScriptedChatClient> model)
{
    /// <summary>Makes a plan of a model with these replies.</summary>
    public Plan(params string[] replies)
        : this(() => new ScriptedChatClient(replies))
    {
    }

    /// <summary>What is asked.</summary>
    public IEnumerable<ChatMessage> Messages { get; init; } = Script.About("the context");

    public ChatOptions? ChatOptions { get; init; }

    /// <summary>Sets the options; called for each of the two runs.</summary>
    public Action<DeepRecallOptions>? Configure { get; init; }

    /// <summary>Whether sub-calls may be made in another order in another run, as threads in a cell do.</summary>
    public bool AnyOrder { get; init; }

    public async Task<PlanResult> RunAsync(CancellationToken cancellationToken)
    {
        var whole = model();
        using var wholeClient = Client(whole);
        var response = await wholeClient.GetResponseAsync(Messages, ChatOptions, cancellationToken);

        var streamed = model();
        using var streamedClient = Client(streamed);
        List<ChatResponseUpdate> updates = [];
        await foreach (var update in streamedClient.GetStreamingResponseAsync(Messages, ChatOptions, cancellationToken))
        {
            updates.Add(update);
        }

        Assert.Equal(Tell(response), Tell(updates.ToChatResponse()));
        Assert.Equal(whole.Requests.Count, streamed.Requests.Count);
        var trajectory = response.GetTrajectory();
        Assert.NotNull(trajectory);
        return new PlanResult(response, trajectory, whole, streamed, updates);
    }

    /// <summary>Makes the client of a plan, for a test that runs it in its own way.</summary>
    public static DeepRecallChatClient Client(IChatClient model, Action<DeepRecallOptions>? configure = null)
    {
        var options = new DeepRecallOptions { Sandbox = new LocalSandbox() };
        configure?.Invoke(options);
        return new DeepRecallChatClient(model, options);
    }

    private DeepRecallChatClient Client(IChatClient inner) => Client(inner, Configure);

    private string Tell(ChatResponse response)
    {
        var text = new StringBuilder();
        text.Append($"finish: {response.FinishReason}, usage: {Tell(response.Usage)}, messages: {response.Messages.Count}\n");
        foreach (var message in response.Messages)
        {
            text.Append($"{message.Role}\n  text: {message.Text}\n  reasoning: {string.Concat(message.Contents.OfType<TextReasoningContent>().Select(content => content.Text))}\n");
        }

        var trajectory = response.GetTrajectory();
        Assert.NotNull(trajectory);
        Tell(text, trajectory);
        return text.ToString();
    }

    private void Tell(StringBuilder text, RlmTrajectory run)
    {
        text.Append($"run at depth {run.Depth} in {run.Environment}: {run.StopReason} ({run.StopDetail}), compactions: {string.Join("; ", run.Compactions.Select(done => $"{done.BeforeTurn} {done.Summary}"))}, usage {Tell(run.Usage)}\n");
        text.Append($"question: {run.Question}\nanswer: {run.Answer}\npartial: {run.PartialAnswer}\n");
        text.Append($"contexts: {string.Join("; ", run.Contexts)}\nnotes: {string.Join("; ", run.Notes)}\n");
        foreach (var turn in run.Turns)
        {
            text.Append($"turn {turn.Number} ({turn.FinishReason}, {Tell(turn.Usage)}): {turn.Reply}\ntold: {turn.Feedback}\n");
            foreach (var cell in turn.Cells)
            {
                text.Append($"cell {cell.Number} {cell.Status}: {cell.Code}\noutput: {cell.Output} (dropped {cell.DroppedCharacters})\n");
                text.Append($"error: {cell.ErrorType} {cell.Error}\nvariables: {string.Join(", ", cell.Variables)}\n");
                foreach (var call in AnyOrder ? cell.Subcalls.OrderBy(call => call.Prompt, StringComparer.Ordinal) : cell.Subcalls.AsEnumerable())
                {
                    text.Append($"{call.Function} at {call.Depth} of {call.Model}: {call.Prompt} ({call.PromptLength}) -> {call.IsError} {call.Response} ({call.ResponseLength}), {Tell(call.Usage)}\n");
                    if (call.Child is { } child)
                    {
                        Tell(text, child);
                    }
                }
            }
        }
    }

    private static string Tell(UsageDetails? usage) =>
        usage is null ? "none" : $"{usage.InputTokenCount}+{usage.OutputTokenCount}={usage.TotalTokenCount}";
}

/// <summary>What came of a <see cref="Plan"/>.</summary>
/// <param name="Response">The unstreamed response; the streamed one is the same.</param>
/// <param name="Trajectory">Its trajectory.</param>
/// <param name="Model">The model of the unstreamed run.</param>
/// <param name="StreamedModel">The model of the streamed run.</param>
/// <param name="Updates">What was streamed.</param>
public sealed record PlanResult(
    ChatResponse Response,
    RlmTrajectory Trajectory,
    ScriptedChatClient Model,
    ScriptedChatClient StreamedModel,
    IReadOnlyList<ChatResponseUpdate> Updates)
{
    public string Text => Response.Text;

    /// <summary>The cells of the run, over all turns.</summary>
    public IReadOnlyList<CellRecord> Cells => [.. Trajectory.Turns.SelectMany(turn => turn.Cells)];

    /// <summary>What the first cell printed.</summary>
    public string Output => Cells[0].Output;

    public IReadOnlyList<SubcallRecord> Subcalls => [.. Cells.SelectMany(cell => cell.Subcalls)];

    public IReadOnlyList<DeepRecallEvent> Events => [.. Updates.SelectMany(update => update.GetDeepRecallEvents())];
}
