using System.Diagnostics;
using DeepRecall.Trajectory;
using static DeepRecall.Diagnostics.TelemetryNames;

namespace DeepRecall.Diagnostics;

/// <summary>The span of a run, the root's or a child's.</summary>
internal readonly struct RunActivity : IDisposable
{
    private readonly Activity? _span;
    private readonly DeepRecallOptions _options;
    private readonly int _depth;

    private RunActivity(Activity? span, DeepRecallOptions options, int depth)
    {
        _span = span;
        _options = options;
        _depth = depth;
    }

    public static RunActivity Start(DeepRecallOptions options, string question, string runId, int depth, string? conversationId)
    {
        var span = Telemetry.Source.StartActivity(Spans.Workflow);
        if (span is { IsAllDataRequested: true })
        {
            span.SetTag(GenAI.OperationName, "invoke_workflow");
            span.SetTag(GenAI.WorkflowName, "deeprecall");
            span.SetTag(GenAI.ConversationId, conversationId);
            span.SetTag(Own.RunId, runId);
            span.SetTag(Own.Depth, depth);
            span.SetTag(Own.Environment, options.Sandbox?.Name);
            if (options.EnableSensitiveTelemetry)
            {
                span.SetTag(Own.Question, Excerpt.Head(question));
            }
        }

        return new RunActivity(span, options, depth);
    }

    /// <summary>Tells of a run that ended with an answer, or at a limit.</summary>
    public void End(RlmTrajectory trajectory)
    {
        string? errorType = null;
        if (trajectory.StopReason != StopReason.Answered)
        {
            Telemetry.LimitHit(Telemetry.NameOf(trajectory.StopReason));
            if (_depth == 0 && _options.OnLimit == LimitBehavior.Throw)
            {
                errorType = typeof(BudgetExceededException).FullName!;
                _span.Fail(errorType);
            }
        }

        Tell(trajectory, errorType);
    }

    /// <summary>Tells of a run that an exception ended.</summary>
    public void Fail(Exception error)
    {
        var errorType = Telemetry.ErrorTypeOf(error);
        _span.Fail(errorType, _options.EnableSensitiveTelemetry ? error.Message : null);
        Tell(error.GetTrajectory(), errorType);
    }

    public void Dispose() => _span?.Dispose();

    private void Tell(RlmTrajectory? trajectory, string? errorType)
    {
        if (_depth == 0)
        {
            Telemetry.RequestEnded(trajectory, errorType);
        }

        if (trajectory is null || _span is not { IsAllDataRequested: true } span)
        {
            return;
        }

        span.SetTag(Own.StopReason, Telemetry.NameOf(trajectory.StopReason));
        span.SetTag(Own.Turns, trajectory.Turns.Count);
        span.SetUsage(trajectory.Usage);
        if (_options.EnableSensitiveTelemetry && trajectory.Answer is { } answer)
        {
            span.SetTag(Own.Answer, Excerpt.Head(answer));
        }
    }
}
