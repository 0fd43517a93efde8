namespace DeepRecall.Budgets;

/// <summary>The end of a request's time, and a moment before it: what runs is stopped then, so that there is time left for an answer.</summary>
internal sealed class RunDeadline : IDisposable
{
    private static readonly TimeSpan MostClosing = TimeSpan.FromSeconds(30);

    private readonly CancellationToken _caller;
    private readonly CancellationTokenSource? _workTimer;
    private readonly CancellationTokenSource? _endTimer;
    private readonly CancellationTokenSource? _work;
    private readonly CancellationTokenSource? _end;

    public RunDeadline(TimeSpan? maxDuration, TimeProvider time, CancellationToken caller)
    {
        _caller = caller;
        Work = End = caller;
        if (maxDuration is not { } duration)
        {
            return;
        }

        Closing = duration / 5 < MostClosing ? duration / 5 : MostClosing;
        _workTimer = new CancellationTokenSource(duration - Closing, time);
        _endTimer = new CancellationTokenSource(duration, time);
        _work = CancellationTokenSource.CreateLinkedTokenSource(caller, _workTimer.Token);
        _end = CancellationTokenSource.CreateLinkedTokenSource(caller, _endTimer.Token);
        Work = _work.Token;
        End = _end.Token;
    }

    /// <summary>How long there is between the two.</summary>
    public TimeSpan Closing { get; } = TimeSpan.MaxValue;

    /// <summary>Cancelled when no more work may be done, and when the caller cancels.</summary>
    public CancellationToken Work { get; }

    /// <summary>Cancelled when everything must have ended, and when the caller cancels.</summary>
    public CancellationToken End { get; }

    /// <summary>Whether the time for work is over, and not the caller's patience.</summary>
    public bool IsOver => _workTimer?.IsCancellationRequested is true && !_caller.IsCancellationRequested;

    public void Dispose()
    {
        _work?.Dispose();
        _end?.Dispose();
        _workTimer?.Dispose();
        _endTimer?.Dispose();
    }
}
