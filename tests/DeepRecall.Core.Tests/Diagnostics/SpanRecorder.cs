using System.Collections.Concurrent;
using System.Diagnostics;

namespace DeepRecall.Tests.Diagnostics;

/// <summary>Records the spans below an activity of its own, which is current while it lives; those of other tests are not among them.</summary>
internal sealed class SpanRecorder : IDisposable
{
    private readonly ActivityListener _listener;
    private readonly Activity _root;
    private readonly ConcurrentQueue<Activity> _ended = new();

    public SpanRecorder(params string[] otherSources)
    {
        Activity.Current = null;
        _root = new Activity("test").SetIdFormat(ActivityIdFormat.W3C).Start();
        _listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == DeepRecallTelemetry.SourceName || otherSources.Contains(source.Name),
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = activity =>
            {
                if (activity.TraceId == _root.TraceId)
                {
                    _ended.Enqueue(activity);
                }
            },
        };
        ActivitySource.AddActivityListener(_listener);
    }

    public Activity Root => _root;

    /// <summary>The spans that have ended, in the order in which they started.</summary>
    public IReadOnlyList<Activity> Spans => [.. _ended.OrderBy(span => span.StartTimeUtc)];

    public Activity One(string name) => Assert.Single(Spans, span => span.DisplayName == name);

    public Activity Parent(Activity span) => Assert.Single(Spans, other => other.SpanId == span.ParentSpanId);

    /// <summary>The names of all spans, each below its parent.</summary>
    public string Tree()
    {
        var spans = Spans;
        List<string> lines = [];
        Tell(_root.SpanId, 0);
        Assert.Equal(spans.Count, lines.Count); // each has a parent that ended
        return string.Join('\n', lines);

        void Tell(ActivitySpanId parent, int indent)
        {
            foreach (var span in spans.Where(span => span.ParentSpanId == parent))
            {
                lines.Add(new string(' ', indent) + span.DisplayName);
                Tell(span.SpanId, indent + 2);
            }
        }
    }

    public void Dispose()
    {
        _root.Dispose();
        _listener.Dispose();
    }
}
