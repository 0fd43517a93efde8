namespace DeepRecall;

/// <summary>The names under which DeepRecall tells of its work, for OpenTelemetry's <c>AddSource</c> and <c>AddMeter</c>.</summary>
public static class DeepRecallTelemetry
{
    /// <summary>The name of the <see cref="System.Diagnostics.ActivitySource"/>.</summary>
    public const string SourceName = "DeepRecall";

    /// <summary>The name of the <see cref="System.Diagnostics.Metrics.Meter"/>.</summary>
    public const string MeterName = "DeepRecall";
}
