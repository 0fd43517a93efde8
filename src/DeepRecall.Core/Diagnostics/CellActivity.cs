using System.Diagnostics;
using System.Globalization;
using DeepRecall.Trajectory;
using static DeepRecall.Diagnostics.TelemetryNames;

namespace DeepRecall.Diagnostics;

/// <summary>The span of a cell.</summary>
internal readonly struct CellActivity : IDisposable
{
    private readonly Activity? _span;
    private readonly bool _isSensitive;

    private CellActivity(Activity? span, bool isSensitive)
    {
        _span = span;
        _isSensitive = isSensitive;
    }

    public static CellActivity Start(DeepRecallOptions options, int number, string code)
    {
        if (!Telemetry.Source.HasListeners())
        {
            return default;
        }

        var span = Telemetry.Source.StartActivity(string.Create(CultureInfo.InvariantCulture, $"{Spans.Cell}{number}"));
        if (span is { IsAllDataRequested: true })
        {
            span.SetTag(GenAI.OperationName, "execute_tool");
            span.SetTag(GenAI.ToolName, "python");
            span.SetTag(Own.CellNumber, number);
            span.SetTag(Own.Environment, options.Sandbox?.Name);
            if (options.EnableSensitiveTelemetry)
            {
                span.SetTag(Own.CellCode, Excerpt.Head(code));
            }
        }

        return new CellActivity(span, options.EnableSensitiveTelemetry);
    }

    /// <summary>Tells how the cell ended.</summary>
    /// <param name="cell">What came of it.</param>
    /// <param name="error">What ended it on this side, if anything did.</param>
    public void End(CellRecord cell, Exception? error = null)
    {
        Telemetry.CellEnded(cell);
        if (_span is not { IsAllDataRequested: true } span)
        {
            return;
        }

        span.SetTag(Own.CellStatus, Telemetry.NameOf(cell.Status));
        if (cell.Status != CellStatus.Ok)
        {
            span.Fail(error is null ? cell.ErrorType ?? Telemetry.NameOf(cell.Status) : Telemetry.ErrorTypeOf(error), _isSensitive ? Excerpt.Head(cell.Error ?? string.Empty) : null);
        }

        if (_isSensitive)
        {
            span.SetTag(Own.CellOutput, Excerpt.Head(cell.Output));
        }
    }

    public void Dispose() => _span?.Dispose();
}
