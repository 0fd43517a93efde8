using DeepRecall.Budgets;
using DeepRecall.Diagnostics;
using DeepRecall.Repl;
using DeepRecall.Request;
using DeepRecall.Trajectory;

namespace DeepRecall.Loop;

/// <summary>What a run has done so far, told as a trajectory however it ends.</summary>
internal sealed class RunLog(RunScope scope, RlmRequest request, string runId, int depth, UsageTally tally)
{
    private readonly long _started = scope.Time.GetTimestamp();
    private readonly List<string> _notes = [];

    public List<TurnRecord> Turns { get; } = [];

    public List<CompactionRecord> Compactions { get; } = [];

    /// <summary><c>answer["content"]</c> as it stood last, or an answer that was not taken.</summary>
    public string? Partial { get; private set; }

    /// <summary>The REPL, once there is one.</summary>
    public ReplSession? Repl { get; set; }

    public void SetPartial(string? content) => Partial = string.IsNullOrWhiteSpace(content) ? Partial : content;

    public void AddNote(string note) => _notes.Add(note);

    /// <summary>Ends the run with an answer, or with what there is of one.</summary>
    public RlmOutcome End(string answer, StopReason reason, string? detail = null, bool hasAnswer = true)
    {
        var trajectory = ToTrajectory(hasAnswer ? answer : null, reason, detail);
        Log.RunEnded(scope.Logger, runId, Turns.Count, trajectory.Duration.TotalMilliseconds, reason);
        scope.Sink.WriteEvent(new AnswerEvent(runId, depth, answer, reason));
        return new RlmOutcome(answer, hasAnswer, trajectory);
    }

    /// <summary>Ends the run with an exception, which carries the trajectory.</summary>
    public void Fail(Exception error, StopReason reason)
    {
        var trajectory = ToTrajectory(null, reason, null);
        Log.RunEnded(scope.Logger, runId, Turns.Count, trajectory.Duration.TotalMilliseconds, reason);
        error.Data[TrajectoryExtensions.Key] = trajectory;
    }

    private RlmTrajectory ToTrajectory(string? answer, StopReason reason, string? detail) => new()
    {
        RunId = runId,
        Depth = depth,
        Question = Excerpt.Head(request.Question),
        Environment = scope.Sandbox.Name,
        Isolation = Repl?.Isolation,
        Contexts = [.. Repl?.Contexts ?? []],
        Turns = [.. Turns],
        Compactions = [.. Compactions],
        Answer = answer,
        PartialAnswer = answer is null ? Partial : null,
        StopReason = reason,
        StopDetail = detail,
        Usage = tally.Snapshot(),
        ModelCalls = tally.Calls,
        Duration = scope.Time.GetElapsedTime(_started),
        Notes = [.. Repl?.Notes ?? [], .. _notes],
    };
}

/// <summary>How a run ended.</summary>
/// <param name="Answer">The answer, or the best part of one, or a statement that there is none.</param>
/// <param name="HasAnswer">Whether it is anything else than that statement.</param>
/// <param name="Trajectory">What happened.</param>
internal sealed record RlmOutcome(string Answer, bool HasAnswer, RlmTrajectory Trajectory);
