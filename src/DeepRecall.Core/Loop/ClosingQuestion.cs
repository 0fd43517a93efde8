using System.Text;
using DeepRecall.Diagnostics;
using DeepRecall.Request;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Loop;

/// <summary>The last call of a run that a limit ended: from what was found the model makes the best answer that it can.</summary>
internal static class ClosingQuestion
{
    private const int LeastBytes = 200;

    /// <returns>What it said; <see langword="null"/> when it was not asked, or said nothing.</returns>
    public static async Task<string?> AskAsync(RunScope scope, RootModel model, RlmRequest request, IReadOnlyList<TurnRecord> turns, CancellationToken end)
    {
        var reserve = scope.Ledger.Reserve;
        if (turns.Count == 0 || reserve.PromptBytes < LeastBytes || end.IsCancellationRequested)
        {
            return null;
        }

        var options = request.ModelOptions?.Clone() ?? new ChatOptions();
        if (scope.Ledger.IsMetered)
        {
            options.MaxOutputTokens = Math.Min(options.MaxOutputTokens ?? int.MaxValue, reserve.OutputTokens);
        }

        try
        {
            var reply = await model.AskAsideAsync([new ChatMessage(ChatRole.User, Prompt(request, turns, reserve.PromptBytes))], options, closing: true, end).ConfigureAwait(false);
            var answer = ReplyScanner.SpokenOf(reply.Text);
            request.Answer.Accepts(ref answer, out _);
            return answer;
        }
        catch (Exception error) when (error is not OperationCanceledException || scope.Deadline.IsOver)
        {
            // The run has its end already; this would only have been a better one.
            Log.ClosingFailed(scope.Logger, error.GetType().Name);
            return null;
        }
    }

    private static string Prompt(RlmRequest request, IReadOnlyList<TurnRecord> turns, int maxBytes)
    {
        const string Task = "You were working on the question below with a Python REPL and must stop now: a limit is reached, and no more code can run. "
            + "Reply with the best answer that the notes below allow, as plain text without code; say what is uncertain in it.";
        var format = request.Answer.Describe();
        var fixedPart = format.Length == 0 ? Task : $"{Task} Reply with JSON alone. {format}";
        var left = maxBytes - Encoding.UTF8.GetByteCount(fixedPart) - 64;
        if (left < LeastBytes / 2)
        {
            return Cut(fixedPart, maxBytes);
        }

        var question = Cut(request.Question, left / 4);
        left -= Encoding.UTF8.GetByteCount(question);

        // The newest notes are the best ones.
        List<string> notes = [];
        foreach (var turn in turns.Reverse())
        {
            var note = $"{turn.Reply}\n{(turn.Feedback is { } told ? told : string.Join('\n', turn.Cells.Select(cell => $"{cell.Output}{cell.Error}")))}\n";
            var taken = Cut(note, left);
            notes.Add(taken);
            left -= Encoding.UTF8.GetByteCount(taken);
            if (taken.Length < note.Length)
            {
                break;
            }
        }

        notes.Reverse();
        return $"{fixedPart}\n\nQuestion:\n{question}\n\nNotes:\n{string.Join('\n', notes)}".TrimEnd();
    }

    /// <summary>The end of a text, at most so many bytes of UTF-8.</summary>
    private static string Cut(string text, int maxBytes)
    {
        if (Encoding.UTF8.GetByteCount(text) <= maxBytes)
        {
            return text;
        }

        var start = text.Length;
        for (var bytes = 0; start > 0; start--)
        {
            bytes += text[start - 1] < 0x80 ? 1 : 3;
            if (bytes > maxBytes)
            {
                break;
            }
        }

        return text[(start < text.Length && char.IsLowSurrogate(text[start]) ? start + 1 : start)..];
    }
}
