using System.Diagnostics;
using System.Globalization;
using static DeepRecall.Diagnostics.TelemetryNames;

namespace DeepRecall.Diagnostics;

/// <summary>The span of a turn.</summary>
internal readonly struct TurnActivity : IDisposable
{
    private readonly Activity? _span;
    private readonly bool _isSensitive;

    private TurnActivity(Activity? span, bool isSensitive)
    {
        _span = span;
        _isSensitive = isSensitive;
    }

    public static TurnActivity Start(DeepRecallOptions options, int turn)
    {
        if (!Telemetry.Source.HasListeners())
        {
            return default;
        }

        var span = Telemetry.Source.StartActivity(string.Create(CultureInfo.InvariantCulture, $"{Spans.Turn}{turn}"));
        span?.SetTag(Own.Turn, turn);
        return new TurnActivity(span, options.EnableSensitiveTelemetry);
    }

    public void Fail(Exception error) => _span.Fail(Telemetry.ErrorTypeOf(error), _isSensitive ? error.Message : null);

    public void Dispose()
    {
        Telemetry.TurnEnded();
        _span?.Dispose();
    }
}
