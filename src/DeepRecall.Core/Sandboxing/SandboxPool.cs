using System.Collections.Concurrent;
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
    private readonly ISandbox _inner;
    private readonly int _size;
    private readonly TimeSpan _maxIdleTime;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ConcurrentQueue<PooledProcess> _idle = new();
    private readonly SemaphoreSlim _filling = new(1, 1);
    private readonly CancellationTokenSource _lifetime = new();
    private int _disposed;

    /// <summary>Initializes a new instance of the <see cref="SandboxPool"/> class.</summary>
    /// <param name="inner">The environment that starts the processes.</param>
    /// <param name="options">How many to keep; read once.</param>
    /// <param name="time">The clock; the system's by default.</param>
    /// <param name="logger">Is told when an idle process could not be started.</param>
    /// <exception cref="ArgumentOutOfRangeException">The size is negative, or the idle time is not positive.</exception>
    public SandboxPool(ISandbox inner, SandboxPoolOptions? options = null, TimeProvider? time = null, ILogger<SandboxPool>? logger = null)
    {
        ArgumentNullException.ThrowIfNull(inner);
        options ??= new();
        if (options.Size < 0)
        {
            throw new ArgumentOutOfRangeException(nameof(options), options.Size, $"{nameof(SandboxPoolOptions)}.{nameof(options.Size)} must be 0 or more.");
        }

        if (options.MaxIdleTime <= TimeSpan.Zero)
        {
            throw new ArgumentOutOfRangeException(nameof(options), options.MaxIdleTime, $"{nameof(SandboxPoolOptions)}.{nameof(options.MaxIdleTime)} must be more than zero.");
        }

        _inner = inner;
        _size = options.Size ?? inner.DefaultPoolSize;
        _maxIdleTime = options.MaxIdleTime;
        _time = time ?? TimeProvider.System;
        _logger = logger ?? NullLogger<SandboxPool>.Instance;
    }

    /// <inheritdoc />
    public string Name => _inner.Name;

    /// <inheritdoc />
    public string Description => _inner.Description;

    /// <summary>Gets how many processes are ready now.</summary>
    internal int IdleCount => _idle.Count;

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
        while (_idle.TryDequeue(out var process))
        {
            await DiscardAsync(process).ConfigureAwait(false);
        }
    }

    private async Task<PooledProcess?> TakeAsync()
    {
        while (_idle.TryDequeue(out var process))
        {
            if (!process.Exited.IsCompleted && _time.GetElapsedTime(process.Since) <= _maxIdleTime)
            {
                return process;
            }

            await DiscardAsync(process).ConfigureAwait(false);
        }

        return null;
    }

    private async Task DiscardAsync(PooledProcess process)
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
        // Its caller is a request that goes on meanwhile.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
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
            while (_idle.Count < _size)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var request = new SandboxStartRequest { WorkerSource = WorkerSource.Text, Nonce = Guid.NewGuid().ToString("N") };
                var process = await _inner.StartAsync(request, cancellationToken).ConfigureAwait(false);
                _idle.Enqueue(new PooledProcess(process, request.Nonce, _time.GetTimestamp(), _inner.Name).Enter());
            }
        }
        finally
        {
            _filling.Release();
        }
    }
}
