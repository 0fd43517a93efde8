using System.Diagnostics;
using DeepRecall.Budgets;
using DeepRecall.Retrieval;
using DeepRecall.Subcalls;
using DeepRecall.Trajectory;
using static DeepRecall.Diagnostics.TelemetryNames;

namespace DeepRecall.Diagnostics;

/// <summary>The span of a call from code: of a sub-model or a child, of a search, or of a tool.</summary>
internal readonly struct SubcallActivity : IDisposable
{
    private readonly Activity? _span;
    private readonly string _function;
    private readonly bool _isQuery;
    private readonly bool _isSensitive;

    private SubcallActivity(Activity? span, string function, bool isQuery, bool isSensitive)
    {
        _span = span;
        _function = function;
        _isQuery = isQuery;
        _isSensitive = isSensitive;
    }

    private bool IsSearch => _function == SearchCalls.Name;

    /// <summary>Starts a span; its parent is the cell's, which is current.</summary>
    /// <param name="options">Whether what was asked is told.</param>
    /// <param name="function">The function that was called.</param>
    /// <param name="number">The call's number.</param>
    /// <param name="model">The sub-client that is asked; <see langword="null"/> for a search or a tool.</param>
    /// <param name="prompt">The prompt or the arguments, as a record keeps them.</param>
    public static SubcallActivity Start(DeepRecallOptions options, string function, int number, string? model, string prompt)
    {
        var isQuery = model is not null;
        var activity = new SubcallActivity(span: null, function, isQuery, options.EnableSensitiveTelemetry);
        if (!Telemetry.Source.HasListeners())
        {
            return activity;
        }

        var span = Telemetry.Source.StartActivity(isQuery ? Spans.Subcall + function : activity.IsSearch ? function : Spans.Tool + function);
        if (span is { IsAllDataRequested: true })
        {
            span.SetTag(Own.SubcallFunction, function);
            span.SetTag(Own.SubcallNumber, number);
            span.SetTag(Own.SubcallModel, model);
            if (!isQuery)
            {
                span.SetTag(GenAI.OperationName, "execute_tool");
                span.SetTag(GenAI.ToolName, function);
                if (options.EnableSensitiveTelemetry)
                {
                    span.SetTag(GenAI.ToolArguments, prompt);
                }
            }
        }

        return new SubcallActivity(span, function, isQuery, options.EnableSensitiveTelemetry);
    }

    /// <summary>Tells what came of the call.</summary>
    public void End(SubcallOutcome outcome)
    {
        Count(outcome);
        if (_span is not { IsAllDataRequested: true } span)
        {
            return;
        }

        if (outcome.IsError)
        {
            span.Fail(outcome.Cause is { } cause ? Telemetry.ErrorTypeOf(cause) : Other, _isSensitive ? Excerpt.Head(outcome.Text) : null);
        }
        else if (_isSensitive && !_isQuery)
        {
            span.SetTag(GenAI.ToolResult, Excerpt.Head(outcome.Text));
        }
    }

    public void Dispose() => _span?.Dispose();

    private void Count(SubcallOutcome outcome)
    {
        if (IsSearch)
        {
            Telemetry.SearchEnded(outcome.IsError);
        }
        else
        {
            // A name that code made up is not one to keep a series of measurements for.
            Telemetry.SubcallEnded(outcome.Cause is MissingMethodException ? Other : _function, outcome.IsError);
        }

        if (outcome.Cause is LimitException limit)
        {
            Telemetry.LimitHit(Telemetry.NameOf(limit.Reason));
        }
    }
}
