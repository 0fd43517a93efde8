namespace DeepRecall.Sandboxes.Cloud;

/// <summary>How often something is tried, and how long the waits between are: twice as long each time, with jitter.</summary>
internal sealed record BackOff(int Attempts, TimeSpan First, TimeSpan Longest)
{
    /// <summary>For calls of an API.</summary>
    public static BackOff Calls { get; } = new(4, TimeSpan.FromMilliseconds(250), TimeSpan.FromSeconds(5));

    /// <summary>For a stream that was lost: about half a minute in all.</summary>
    public static BackOff Reconnects { get; } = new(8, TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(10));

    /// <summary>The wait after a failed attempt, of which the first is 0; never less than what the service asked for.</summary>
    public TimeSpan WaitAfter(int attempt, TimeSpan? asked = null)
    {
        var full = First * Math.Pow(2, attempt);
        full = full < Longest ? full : Longest;
#pragma warning disable CA5394 // jitter is no secret
        var jitter = full * Random.Shared.NextDouble() / 2;
#pragma warning restore CA5394
        return asked is { } least ? least + (jitter / 4) : (full / 2) + jitter;
    }
}
