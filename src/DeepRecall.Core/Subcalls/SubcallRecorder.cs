using DeepRecall.Budgets;
using DeepRecall.Diagnostics;
using DeepRecall.Loop;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Subcalls;

/// <summary>Records the sub-calls of one run and tells of them. A failure is a text that starts with <c>Error:</c>.</summary>
internal sealed class SubcallRecorder(RunScope scope, string runId, int depth)
{
    private readonly Lock _lock = new();
    private List<SubcallRecord> _records = [];

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

    public async Task<SubcallOutcome> RecordAsync(string function, string? model, string prompt, Func<Task<SubcallOutcome>> call, CancellationToken cancellationToken)
    {
        var number = scope.NextSubcall();
        var started = scope.Time.GetTimestamp();
        var shown = Excerpt.Head(prompt);
        using var activity = SubcallActivity.Start(scope.Options, function, number, model, shown);
        scope.Sink.WriteEvent(new SubcallStartedEvent(runId, depth, number, function, model, shown));
        SubcallOutcome outcome;
        try
        {
            outcome = await call().ConfigureAwait(false);
        }
        catch (OperationCanceledException error) when (cancellationToken.IsCancellationRequested)
        {
            outcome = new SubcallOutcome("Error: the call was cancelled", IsError: true, Child: error.GetTrajectory(), Cause: error);
        }
        catch (Exception error)
        {
            outcome = new SubcallOutcome($"Error: {error.Message}", IsError: true, Cause: error);
        }

        activity.End(outcome);
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
        return outcome;
    }
}

/// <summary>What came of a sub-call.</summary>
internal sealed record SubcallOutcome(string Text, bool IsError, UsageDetails? Usage = null, RlmTrajectory? Child = null, Exception? Cause = null);
