namespace DeepRecall.Hosting;

/// <summary>The requests that run, so that a host that stops can wait for them and end them.</summary>
internal sealed class RunningRequests : IDisposable
{
    private readonly Lock _lock = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _count;
    private bool _closed;

    public int Count => Volatile.Read(ref _count);

    /// <summary>Lets a request in.</summary>
    /// <exception cref="InvalidOperationException">The host has stopped.</exception>
    public Request Begin(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (_closed)
            {
                throw new InvalidOperationException("The host has stopped; DeepRecall takes no more requests.");
            }

            _count++;
        }

        return new Request(this, CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _stop.Token));
    }

    /// <summary>Lets no more requests in, and tells when the last has ended.</summary>
    public Task CloseAsync()
    {
        lock (_lock)
        {
            _closed = true;
            if (_count == 0)
            {
                _ended.TrySetResult();
            }
        }

        return _ended.Task;
    }

    /// <summary>Cancels the requests that run.</summary>
    public Task CancelAsync() => _stop.CancelAsync();

    public void Dispose() => _stop.Dispose();

    private void End()
    {
        lock (_lock)
        {
            if (--_count == 0 && _closed)
            {
                _ended.TrySetResult();
            }
        }
    }

    /// <summary>A request that runs until it is disposed.</summary>
    public sealed class Request(RunningRequests owner, CancellationTokenSource source) : IDisposable
    {
        private int _disposed;

        /// <summary>Cancelled by the caller, or by the host that stops.</summary>
        public CancellationToken Token => source.Token;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _disposed, 1) == 0)
            {
                source.Dispose();
                owner.End();
            }
        }
    }
}
