namespace DeepRecall.Repl;

/// <summary>Measures each cell's own time: it stands still while the cell waits for the host.</summary>
/// <remarks>
/// One timer serves all cells of a REPL. It is not set for each cell: when it fires it looks how much time the running cell has
/// left, and is set again for that; so a short cell costs no timer at all, and none is ever late.
/// </remarks>
internal sealed class CellClock : IDisposable
{
    private readonly TimeProvider _time;
    private readonly TimeSpan _limit;
    private readonly ITimer? _timer;
    private readonly Lock _lock = new();
    private Action? _onExpired;
    private long _started;
    private long _turnedAt;
    private TimeSpan _computed;
    private TimeSpan _waited;
    private int _waiting;
    private int _cell;
    private bool _armed;

    public CellClock(TimeProvider time, TimeSpan limit)
    {
        _time = time;
        _limit = limit;
        if (limit != Timeout.InfiniteTimeSpan)
        {
            _timer = time.CreateTimer(static state => ((CellClock)state!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>Begins a cell, whose end is told by <paramref name="onExpired"/> if it runs over.</summary>
    public void Start(Action onExpired)
    {
        lock (_lock)
        {
            _cell++;
            _onExpired = onExpired;
            _started = _turnedAt = _time.GetTimestamp();
            _computed = _waited = TimeSpan.Zero;
            _waiting = 0;
            if (!_armed && _timer is not null)
            {
                _armed = true;
                _timer.Change(_limit, Timeout.InfiniteTimeSpan);
            }
        }
    }

    /// <summary>Ends the cell.</summary>
    /// <returns>How long it took, and how much of that it waited for the host.</returns>
    public (TimeSpan Elapsed, TimeSpan Waited) Stop()
    {
        lock (_lock)
        {
            Settle();
            _onExpired = null;
            return (_time.GetElapsedTime(_started), _waited);
        }
    }

    /// <summary>Stops the running cell's time until <see cref="EndWait"/> is called with what this returns.</summary>
    public int BeginWait()
    {
        lock (_lock)
        {
            Settle();
            _waiting++;
            return _cell;
        }
    }

    public void EndWait(int wait)
    {
        lock (_lock)
        {
            // A call may come to its end when its cell is long over.
            if (wait == _cell)
            {
                Settle();
                _waiting--;
            }
        }
    }

    public void Dispose() => _timer?.Dispose();

    private void Settle()
    {
        var now = _time.GetTimestamp();
        var passed = _time.GetElapsedTime(_turnedAt, now);
        _turnedAt = now;
        if (_waiting > 0)
        {
            _waited += passed;
        }
        else
        {
            _computed += passed;
        }
    }

    private void OnTimer()
    {
        Action? expired = null;
        lock (_lock)
        {
            _armed = false;
            if (_onExpired is null)
            {
                return;
            }

            Settle();
            var left = _limit - _computed;
            if (left < TimeSpan.FromMilliseconds(1))
            {
                expired = _onExpired;
                _onExpired = null;
            }
            else
            {
                _armed = true;
                _timer!.Change(left, Timeout.InfiniteTimeSpan);
            }
        }

        expired?.Invoke();
    }
}
