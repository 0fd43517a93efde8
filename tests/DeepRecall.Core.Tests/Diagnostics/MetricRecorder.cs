using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace DeepRecall.Tests.Diagnostics;

/// <summary>Records what our meter measures in the trace of an activity; the meter is one for all tests.</summary>
internal sealed class MetricRecorder : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly ConcurrentQueue<(string Name, string Unit, double Value, string Tags)> _measured = new();

    /// <param name="root">The activity, or <see langword="null"/> for every measurement.</param>
    public MetricRecorder(Activity? root)
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == DeepRecallTelemetry.MeterName)
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Take(root, instrument, value, tags));
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Take(root, instrument, value, tags));
        _listener.Start();
    }

    /// <summary>The sums of a metric, one for each set of tags, as text.</summary>
    public string Sums(string name, string? withTag = null) => string.Join("; ", Of(name, withTag)
        .GroupBy(measured => measured.Tags)
        .OrderBy(group => group.Key, StringComparer.Ordinal)
        .Select(group => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{group.Sum(measured => measured.Value):0.####}{(group.Key.Length == 0 ? string.Empty : " ")}{group.Key}")));

    /// <summary>How often a metric was measured, for each set of tags, as text.</summary>
    public string Counts(string name, string? withTag = null) => string.Join("; ", Of(name, withTag)
        .GroupBy(measured => measured.Tags)
        .OrderBy(group => group.Key, StringComparer.Ordinal)
        .Select(group => $"{group.Count()}x {group.Key}"));

    public string Unit(string name) => Of(name, null).First().Unit;

    public void Dispose() => _listener.Dispose();

    private IEnumerable<(string Name, string Unit, double Value, string Tags)> Of(string name, string? withTag) =>
        _measured.Where(measured => measured.Name == name && (withTag is null || measured.Tags.Contains(withTag, StringComparison.Ordinal)));

    private void Take(Activity? root, Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (root is null || Activity.Current?.TraceId == root.TraceId)
        {
            _measured.Enqueue((instrument.Name, instrument.Unit ?? string.Empty, value, string.Join(',', tags.ToArray().Select(tag => $"{tag.Key}={tag.Value}").Order(StringComparer.Ordinal))));
        }
    }
}
