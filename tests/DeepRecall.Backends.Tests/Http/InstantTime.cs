using System.Collections.Concurrent;

namespace DeepRecall.Backends.Tests.Http;

/// <summary>A clock whose waits are over at once, and recorded; time limits of <paramref name="limit"/> never run out.</summary>
internal sealed class InstantTime(TimeSpan limit) : TimeProvider
{
    private readonly ConcurrentQueue<TimeSpan> _waits = new();

    public static DateTimeOffset Now { get; } = new(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);

    /// <summary>The waits so far, in order.</summary>
    public IReadOnlyList<TimeSpan> Waits => [.. _waits];

    public override DateTimeOffset GetUtcNow() => Now;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        if (dueTime == limit)
        {
            return new NoTimer();
        }

        _waits.Enqueue(dueTime);
        ThreadPool.QueueUserWorkItem(_ => callback(state));
        return new NoTimer();
    }

    private sealed class NoTimer : ITimer
    {
        public bool Change(TimeSpan dueTime, TimeSpan period) => true;

        public void Dispose()
        {
        }

        public ValueTask DisposeAsync() => default;
    }
}
