using System.Text;
using DeepRecall.Answers;
using DeepRecall.Diagnostics;
using DeepRecall.Repl;
using DeepRecall.Subcalls;
using DeepRecall.Trajectory;

namespace DeepRecall.Loop;

/// <summary>Runs the code of replies, and finds the answer in what came of it.</summary>
internal sealed class CellRunner(RunScope scope, AnswerFormat format, RunLog log, SubcallDispatcher subcalls, string runId, int depth)
{
    private int _cells;

    /// <summary>How often an answer was given back because it is not what it must be.</summary>
    public int Repairs { get; private set; }

    /// <summary>Whether no more answers are given back.</summary>
    public bool RepairsAreUsed => Repairs > scope.Options.MaxAnswerRepairs;

    private ReplSession Repl => log.Repl!;

    /// <summary>Runs the blocks of a reply, in order, up to one that fails or answers.</summary>
    /// <returns>The answer, or <see langword="null"/>.</returns>
    public async Task<string?> RunAsync(ReplyPlan plan, List<CellRecord> cells, Feedback feedback, CancellationToken stop, CancellationToken cancellationToken)
    {
        for (var index = 0; index < plan.Cells.Count; index++)
        {
            var (record, result) = await RunCellAsync(plan.Cells[index], cells, stop, cancellationToken).ConfigureAwait(false);
            if (result.Ready && Take(result.Content ?? string.Empty, feedback) is { } answer)
            {
                return answer;
            }

            feedback.AddCell(record, result.Note, index + 1, plan.Cells.Count);
            if (result.Status != CellStatus.Ok || result.Ready)
            {
                if (index + 1 < plan.Cells.Count)
                {
                    feedback.AddSkipped(index + 1, plan.Cells.Count, result.Ready ? "gave an answer that was not taken" : result.Status == CellStatus.Interrupted ? "was interrupted" : "failed");
                }

                break;
            }
        }

        return null;
    }

    /// <summary>Takes an answer that a reply gives as text outside of code (<c>FINAL(...)</c>).</summary>
    public async Task<string?> TakeFinalTextAsync(ModelReply reply, List<CellRecord> cells, Feedback feedback, CancellationToken stop, CancellationToken cancellationToken)
    {
        if (!scope.Options.AcceptFinalText || FinalText.TryFind(reply.Spoken) is not { } final)
        {
            return null;
        }

        if (cells.Any(cell => cell.Status != CellStatus.Ok))
        {
            feedback.Add("Your final answer was not taken, because a block of the same reply failed.");
            return null;
        }

        if (!final.IsVariable)
        {
            return Take(final.Value, feedback);
        }

        var (record, result) = await RunCellAsync($"FINAL_VAR(\"{final.Value}\")", cells, stop, cancellationToken).ConfigureAwait(false);
        if (result.Ready && Take(result.Content ?? string.Empty, feedback) is { } answer)
        {
            return answer;
        }

        feedback.AddCell(record, result.Note, 1, 1);
        return null;
    }

    /// <summary>Takes an answer that is what it must be; says what is wrong with any other.</summary>
    public string? Take(string answer, Feedback feedback)
    {
        if (format.Accepts(ref answer, out var problem))
        {
            return answer;
        }

        log.SetPartial(answer);
        Repairs++;
        Repl.ReopenAnswer();
        feedback.Add($"Your answer was not taken: {problem}. Set `answer[\"content\"]` to a corrected one, and `answer[\"ready\"] = True` again.");
        return null;
    }

    private async Task<(CellRecord Record, CellResult Result)> RunCellAsync(string code, List<CellRecord> cells, CancellationToken stop, CancellationToken cancellationToken)
    {
        var number = ++_cells;
        using var activity = CellActivity.Start(scope.Options, number, code);
        subcalls.BeginCell();
        scope.Sink.WriteEvent(new CellStartedEvent(runId, depth, number, code));
        var started = scope.Time.GetTimestamp();
        var seen = new StringBuilder();
        CellResult result;
        try
        {
            result = await Repl.ExecuteAsync(
                code,
                text =>
                {
                    seen.Append(text);
                    scope.Sink.WriteEvent(new CellOutputEvent(runId, depth, number, text));
                },
                stop,
                cancellationToken).ConfigureAwait(false);
        }
        catch (Exception error)
        {
            // What the cell had printed and paid for until then is told too.
            var ended = new CellRecord
            {
                Number = number,
                Code = code,
                Status = error is OperationCanceledException ? CellStatus.Interrupted : CellStatus.Died,
                Output = seen.ToString(),
                Error = error.Message,
                Variables = [],
                Subcalls = subcalls.TakeRecords(),
                Duration = scope.Time.GetElapsedTime(started),
                WaitDuration = default,
            };
            cells.Add(ended);
            activity.End(ended, error);
            throw;
        }

        await subcalls.DrainAsync().ConfigureAwait(false);
        log.SetPartial(result.Content);
        var record = new CellRecord
        {
            Number = number,
            Code = code,
            Status = result.Status,
            Output = result.Output,
            DroppedCharacters = result.Dropped,
            Error = result.Error,
            ErrorType = result.ErrorType,
            Variables = result.Variables,
            Subcalls = subcalls.TakeRecords(),
            Duration = result.Duration,
            WaitDuration = result.Waited,
        };
        cells.Add(record);
        activity.End(record);
        Log.CellEnded(scope.Logger, runId, number, result.Status, result.Output);
        scope.Sink.WriteEvent(new CellCompletedEvent(runId, depth, record));
        return (record, result);
    }
}
