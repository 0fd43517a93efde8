using System.Globalization;
using DeepRecall.Budgets;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Loop;

/// <summary>Keeps a run's conversation within its model's window: the model summarises it, and goes on from the summary.</summary>
internal sealed class Compactor(RunScope scope, RootModel model, ChatOptions? options, Conversation conversation)
{
    // A last turn longer than this part of the window is summarised too.
    private const double LargestKept = 0.25;
    private const int MaxSummary = 20_000;

    private static readonly string Request = Resources.Read("prompts/summary.md").TrimEnd();

    private long _used;
    private bool _failed;

    /// <summary>Tells what the last reply took of the window; where the provider does not tell, about what its text takes.</summary>
    public void Observe(UsageDetails? usage)
    {
        var told = (usage?.InputTokenCount ?? 0) + (usage?.OutputTokenCount ?? 0);
        _used = told > 0 ? told : conversation.Length / 3;
    }

    /// <summary>Whether the next turn would go past the threshold.</summary>
    public bool IsDue => scope.Options.CompactionThreshold is { } threshold && !_failed && conversation.HasTurns && _used >= threshold * model.Window;

    /// <summary>Summarises.</summary>
    /// <param name="nextTurn">The marker of the turn that comes next.</param>
    /// <param name="shorten">Whether the conversation is too long even to be summarised as it is.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>What was done; <see langword="null"/> when the model gave no summary, and everything stays as it is.</returns>
    public async Task<CompactionRecord?> CompactAsync(int nextTurn, bool shorten, CancellationToken cancellationToken)
    {
        IEnumerable<ChatMessage> messages = shorten ? Shorten(conversation.Messages) : conversation.Messages;
        ModelReply reply;
        try
        {
            reply = await model.AskAsideAsync([.. messages, new ChatMessage(ChatRole.User, Request)], options, closing: false, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception error) when (!shorten && ContextLengthErrors.Is(error))
        {
            return await CompactAsync(nextTurn, shorten: true, cancellationToken).ConfigureAwait(false);
        }
        catch (LimitException)
        {
            _failed = true; // the turn's own call will say so, or still fit
            return null;
        }

        var summary = Excerpt.HeadAndTail(reply.Text.Trim(), MaxSummary);
        if (summary.Length == 0)
        {
            _failed = true;
            return null;
        }

        var keepLast = !shorten && conversation.Messages[^1].Text.Length / 3 < LargestKept * model.Window;
        conversation.Compact(summary, Remark(nextTurn, keepLast), keepLast);
        var used = _used;
        _used = 0;
        return new CompactionRecord(nextTurn, used, summary, reply.Usage is null ? null : UsageTally.Copy(reply.Usage), reply.Duration);
    }

    private string Remark(int nextTurn, bool keepLast) => string.Create(
        CultureInfo.InvariantCulture,
        $"The conversation became too long and was summarised above ({conversation.Compactions + 1} time{(conversation.Compactions == 0 ? string.Empty : "s")} by now). Your variables are all there: SHOW_VARS() lists them. The full text is at the end of the list `history`. Do not do again what is done. {(keepLast ? "The last turn follows as it was." : Prompts.TurnMarker(nextTurn, scope.Options.MaxIterations))}");

    /// <summary>The messages with their long ones cut, to a third of their length in all.</summary>
    private List<ChatMessage> Shorten(IReadOnlyList<ChatMessage> messages)
    {
        var most = (int)Math.Max(500, conversation.Length / 3 / Math.Max(1, messages.Count));
        return [.. messages.Select(message => message.Role == ChatRole.System || message.Text.Length <= most
            ? message
            : new ChatMessage(message.Role, Excerpt.HeadAndTail(message.Text, most)))];
    }
}
