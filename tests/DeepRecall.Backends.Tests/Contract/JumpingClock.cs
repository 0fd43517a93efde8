using System.Collections.Concurrent;

namespace DeepRecall.Backends.Tests.Contract;

/// <summary>A clock on which waits are over at once and are told; only the limit of an attempt, known by its length, takes its time.</summary>
internal sealed class JumpingClock(TimeSpan limit) : TimeProvider
{
    private readonly ConcurrentQueue<TimeSpan> _waits = new();

    /// <summary>How long was waited before each retry, in order.</summary>
    public IReadOnlyList<TimeSpan> Waits => [.. _waits];

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        if (dueTime == limit)
        {
            return System.CreateTimer(callback, state, dueTime, period);
        }

        _waits.Enqueue(dueTime);
        return System.CreateTimer(callback, state, TimeSpan.Zero, period);
    }
}
