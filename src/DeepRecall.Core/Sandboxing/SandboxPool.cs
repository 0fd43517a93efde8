using DeepRecall.Diagnostics;
using DeepRecall.Repl;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace DeepRecall.Sandboxing;

/// <summary>An environment that keeps started processes ready, so that a request need not wait for one to start.</summary>
/// <remarks>
/// A process serves one request and is never used again. The pool starts the first ones after its first request, or when
/// <see cref="WarmAsync"/> asks for them, and a new one in the background for each that it gives away. A request that finds none
/// ready starts its own. Disposing the pool ends the idle processes; those that were given away belong to who has them.
/// The environment inside is not disposed. Thread-safe.
/// </remarks>
public sealed class SandboxPool : ISandbox, IAsyncDisposable
{
    private static readonly TimeSpan RefillDelay = TimeSpan.FromMilliseconds(30);

    private readonly ISandbox _inner;
    private readonly int _size;
    private readonly TimeSpan _maxIdleTime;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly TimeSpan _startTimeout;
    private readonly Lock _lock = new();
    private readonly Queue<PooledProcess> _idle = new(); // the oldest first
    private readonly ITimer _timer;
    private readonly SemaphoreSlim _filling = new(1, 1);
    private readonly CancellationTokenSource _lifetime = new();
    private Task _ending = Task.CompletedTask;
    private int _disposed;

    /// <summary>Initializes a new instance of the <see cref="SandboxPool"/> class.</summary>
    /// <param name="inner">The environment that starts the processes.</param>
    /// <param name="options">How many to keep; read once.</param>
    /// <param name="time">The clock; the system's by default.</param>
    /// <param name="logger">Is told when an idle process could not be started.</param>
    /// <exception cref="ArgumentOutOfRangeException">The size is negative, or a time is not positive.</exception>
    public SandboxPool(ISandbox inner, SandboxPoolOptions? options = null, TimeProvider? time = null, ILogger<SandboxPool>? logger = null)
    {
        ArgumentNullException.ThrowIfNull(inner);
        options ??= new();
        foreach (var (option, value, allowed) in options.Problems())
        {
            throw new ArgumentOutOfRangeException(nameof(options), value, $"{nameof(SandboxPoolOptions)}.{option} must be {allowed}.");
        }

        _inner = inner;
        _size = options.Size ?? inner.DefaultPoolSize;
        _maxIdleTime = options.MaxIdleTime;
        _startTimeout = options.StartTimeout;
        _time = time ?? TimeProvider.System;
        _logger = logger ?? NullLogger<SandboxPool>.Instance;
        _timer = _time.CreateTimer(static pool => ((SandboxPool)pool!).EndThoseThatWaitedTooLong(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <inheritdoc />
    public string Name => _inner.Name;

    /// <inheritdoc />
    public string Description => _inner.Description;

    /// <summary>Gets how many processes are ready now.</summary>
    internal int IdleCount
    {
        get
        {
            lock (_lock)
            {
                return _idle.Count;
            }
        }
    }

    /// <inheritdoc />
    public Task<SandboxIsolation?> GetIsolationAsync(CancellationToken cancellationToken) => _inner.GetIsolationAsync(cancellationToken);

    /// <summary>Starts processes until the pool is full, for a host that wants the first request to be as fast as the others.</summary>
    /// <param name="cancellationToken">Ends the attempt; processes that are ready stay.</param>
    /// <exception cref="SandboxException">One could not be started.</exception>
    /// <exception cref="ObjectDisposedException">The pool is disposed.</exception>
    public async Task WarmAsync(CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _lifetime.Token);
        await FillAsync(linked.Token).ConfigureAwait(false);
    }

    /// <inheritdoc />
    /// <exception cref="ObjectDisposedException">The pool is disposed.</exception>
    public async Task<ISandboxProcess> StartAsync(SandboxStartRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        cancellationToken.ThrowIfCancellationRequested();
        if (request.WorkerSource != WorkerSource.Text)
        {
            return await _inner.StartAsync(request, cancellationToken).ConfigureAwait(false);
        }

        try
        {
            var ready = await TakeAsync().ConfigureAwait(false);
            ready?.Leave();
            Telemetry.PoolTaken(_inner.Name, isHit: ready is not null);
            return ready ?? await _inner.StartAsync(request, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _ = RefillAsync();
        }
    }

    /// <summary>Ends the idle processes.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await _lifetime.CancelAsync().ConfigureAwait(false);

        // Never released: whoever would fill the pool from now on sees that it is disposed.
        await _filling.WaitAsync().ConfigureAwait(false);
        await _timer.DisposeAsync().ConfigureAwait(false);
        while (Dequeue() is { } process)
        {
            await DiscardAsync(process).ConfigureAwait(false);
        }

        Task ending;
        lock (_lock)
        {
            ending = _ending;
        }

        await ending.ConfigureAwait(false);
    }

    private bool HasWaitedTooLong(PooledProcess process) => _time.GetElapsedTime(process.Since) > _maxIdleTime;

    private void Enqueue(PooledProcess process)
    {
        lock (_lock)
        {
            _idle.Enqueue(process);
            SetTimer();
        }
    }

    private PooledProcess? Dequeue()
    {
        lock (_lock)
        {
            return _idle.TryDequeue(out var process) ? process : null;
        }
    }

    /// <summary>Has the timer fire when the oldest process will have waited too long; with none left it does not fire.</summary>
    private void SetTimer()
    {
        var longest = TimeSpan.FromDays(1); // for a timer has a limit of its own; one that fires too early is set again
        if (_idle.TryPeek(out var oldest))
        {
            var left = _maxIdleTime - _time.GetElapsedTime(oldest.Since);
            _timer.Change(left >= longest ? longest : left < TimeSpan.Zero ? TimeSpan.Zero : left + TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);
        }
    }

    private void EndThoseThatWaitedTooLong()
    {
        lock (_lock)
        {
            List<Task> ending = [_ending];
            while (_idle.TryPeek(out var oldest) && HasWaitedTooLong(oldest))
            {
                var process = _idle.Dequeue();
                ending.Add(Task.Run(() => DiscardAsync(process)));
            }

            _ending = Task.WhenAll(ending);
            SetTimer();
        }
    }

    private async Task<PooledProcess?> TakeAsync()
    {
        while (Dequeue() is { } process)
        {
            if (!process.Exited.IsCompleted && !HasWaitedTooLong(process))
            {
                return process;
            }

            await DiscardAsync(process).ConfigureAwait(false);
        }

        return null;
    }

    private async Task DiscardAsync(ISandboxProcess process)
    {
        try
        {
            await process.DisposeAsync().ConfigureAwait(false);
        }
        catch (Exception error)
        {
            // It is in nobody's way, and no reason to fail a request that does not use it.
            Log.PoolProcessNotEnded(_logger, _inner.Name, error);
        }
    }

    private async Task RefillAsync()
    {
        // Its caller is a request that goes on meanwhile, and that may be done before a start would be; so it has the processor first.
        await Task.Delay(RefillDelay, CancellationToken.None).ConfigureAwait(false);
        System.Diagnostics.Activity.Current = null; // what is started now is no part of that request's trace
        try
        {
            await FillAsync(_lifetime.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // The pool is disposed.
        }
        catch (Exception error)
        {
            // The next request starts its own, and tells whoever asked what is wrong.
            Log.PoolNotFilled(_logger, _inner.Name, error);
        }
    }

    private async Task FillAsync(CancellationToken cancellationToken)
    {
        await _filling.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            while (IdleCount < _size)
            {
                cancellationToken.ThrowIfCancellationRequested();
                Enqueue(await StartIdleAsync(cancellationToken).ConfigureAwait(false));
            }
        }
        finally
        {
            _filling.Release();
        }
    }

    private async Task<PooledProcess> StartIdleAsync(CancellationToken cancellationToken)
    {
        var request = new SandboxStartRequest { WorkerSource = WorkerSource.Text, Nonce = Guid.NewGuid().ToString("N") };
        using var timeout = new CancellationTokenSource(_startTimeout, _time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        var starting = _inner.StartAsync(request, linked.Token);
        try
        {
            return new PooledProcess(await starting.WaitAsync(linked.Token).ConfigureAwait(false), request.Nonce, _time.GetTimestamp(), _inner.Name).Enter();
        }
        catch (OperationCanceledException error)
        {
            _ = DiscardWhenStartedAsync(starting);
            if (cancellationToken.IsCancellationRequested || !timeout.IsCancellationRequested)
            {
                throw;
            }

            var message = $"The sandbox '{_inner.Name}' did not start within {_startTimeout.TotalSeconds:0.###} seconds ({nameof(SandboxPoolOptions)}.{nameof(SandboxPoolOptions.StartTimeout)}).";
            throw new SandboxException(message, error) { Kind = SandboxErrorKind.Timeout };
        }
    }

    /// <summary>A sandbox may not heed its token: what it starts in the end is not wanted any more.</summary>
    private async Task DiscardWhenStartedAsync(Task<ISandboxProcess> starting)
    {
        await ((Task)starting).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (starting.IsCompletedSuccessfully)
        {
            await DiscardAsync(await starting.ConfigureAwait(false)).ConfigureAwait(false);
        }
    }
}
