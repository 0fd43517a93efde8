using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using DeepRecall.Diagnostics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace DeepRecall.Sessions;

/// <summary>Keeps conversations' REPLs in this process: each until it was idle for too long, and so many at a time.</summary>
/// <remarks>Thread-safe. Disposing it ends all REPLs; a conversation that a request has at that time ends with its request.</remarks>
[SuppressMessage("Design", "CA1001", Justification = "Slots end with the store.")]
public sealed class SessionStore : ISessionStore, IAsyncDisposable, IDisposable
{
    private const int MaxRemembered = 1_000;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, Slot> _slots = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _lost = new(StringComparer.Ordinal);
    private readonly Queue<string> _lostOrder = new();
    private readonly int _maxSessions;
    private readonly TimeSpan _idleTimeout;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private TaskCompletionSource _returned = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _disposed;

    /// <summary>Initializes a new instance of the <see cref="SessionStore"/> class.</summary>
    /// <param name="maxSessions">How many conversations are kept at a time, at least 1. One more ends the one that has been idle for longest, or waits for one to become idle.</param>
    /// <param name="idleTimeout">How long one is kept after its last request; <see langword="null"/> for 10 minutes, <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    /// <param name="timeProvider">The clock, or <see langword="null"/> for the system's.</param>
    /// <param name="loggerFactory">Where to log, or <see langword="null"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">An argument is out of range.</exception>
    public SessionStore(int maxSessions = 100, TimeSpan? idleTimeout = null, TimeProvider? timeProvider = null, ILoggerFactory? loggerFactory = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxSessions, 1);
        var idle = idleTimeout ?? TimeSpan.FromMinutes(10);
        if (idle != Timeout.InfiniteTimeSpan)
        {
            ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(idle, TimeSpan.Zero, nameof(idleTimeout));
            ArgumentOutOfRangeException.ThrowIfGreaterThan(idle.TotalMilliseconds, int.MaxValue, nameof(idleTimeout));
        }

        _maxSessions = maxSessions;
        _idleTimeout = idle;
        _time = timeProvider ?? TimeProvider.System;
        _logger = loggerFactory?.CreateLogger<SessionStore>() ?? NullLogger<SessionStore>.Instance;
    }

    /// <summary>Gets how many conversations there are, those that a request has included.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _slots.Count;
            }
        }
    }

    /// <inheritdoc />
    /// <exception cref="ObjectDisposedException">The store was disposed.</exception>
    public async ValueTask<ISessionLease> AcquireAsync(string conversationId, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(conversationId);
        while (true)
        {
            Task freed;
            Slot? evicted = null;
            Lease? lease = null;
            lock (_lock)
            {
                ObjectDisposedException.ThrowIf(_disposed, this);
                if (_slots.TryGetValue(conversationId, out var slot))
                {
                    lease = slot.IsTaken ? null : Take(slot);
                }
                else
                {
                    if (_slots.Count >= _maxSessions && (evicted = LeastRecent()) is not null)
                    {
                        Drop(evicted, string.Create(CultureInfo.InvariantCulture, $"there were more than {_maxSessions:N0} conversations, and it had been idle for longest"));
                    }

                    if (_slots.Count < _maxSessions)
                    {
                        slot = new Slot(conversationId);
                        _slots.Add(conversationId, slot);
                        lease = Take(slot);
                    }
                }

                freed = _returned.Task;
            }

            // Not waited for: a request has not to wait, nor to fail, for another conversation's end.
            _ = EndQuietlyAsync(evicted?.Session);

            if (lease is not null)
            {
                return lease;
            }

            await freed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <inheritdoc />
    public async ValueTask<bool> RemoveAsync(string conversationId, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(conversationId);
        while (true)
        {
            Task? freed = null;
            ConversationSession? session = null;
            lock (_lock)
            {
                if (!_slots.TryGetValue(conversationId, out var slot))
                {
                    return false;
                }

                if (slot.IsTaken)
                {
                    freed = _returned.Task;
                }
                else
                {
                    Drop(slot, "it was removed");
                    SignalReturned();
                    session = slot.Session;
                }
            }

            if (freed is null)
            {
                await EndQuietlyAsync(session).ConfigureAwait(false);
                return true;
            }

            await freed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Ends all REPLs, and returns when they have ended.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var session in TakeAll())
        {
            await EndQuietlyAsync(session).ConfigureAwait(false);
        }
    }

    /// <summary>Ends all REPLs; does not wait until they have ended.</summary>
    public void Dispose()
    {
        foreach (var session in TakeAll())
        {
            _ = EndQuietlyAsync(session);
        }
    }

    private ConversationSession[] TakeAll()
    {
        lock (_lock)
        {
            _disposed = true;
            var idle = _slots.Values.Where(slot => !slot.IsTaken).ToArray();
            foreach (var slot in idle)
            {
                Drop(slot, "its store was disposed");
            }

            SignalReturned();
            return [.. idle.Select(slot => slot.Session).OfType<ConversationSession>()];
        }
    }

    private Lease Take(Slot slot)
    {
        slot.IsTaken = true;
        slot.IdleTimer?.Dispose();
        slot.IdleTimer = null;
        var lost = slot.Session is null && _lost.Remove(slot.ConversationId, out var reason) ? reason : null;
        return new Lease(this, slot, lost);
    }

    private Slot? LeastRecent() => _slots.Values.Where(slot => !slot.IsTaken).MinBy(slot => slot.ReturnedAt);

    private void Drop(Slot slot, string reason)
    {
        _slots.Remove(slot.ConversationId);
        slot.IdleTimer?.Dispose();
        Remember(slot.ConversationId, reason);
    }

    private void Remember(string conversationId, string reason)
    {
        if (_lost.TryAdd(conversationId, reason))
        {
            _lostOrder.Enqueue(conversationId);
            if (_lostOrder.Count > MaxRemembered)
            {
                _lost.Remove(_lostOrder.Dequeue());
            }
        }
    }

    private void SignalReturned()
    {
        var returned = _returned;
        _returned = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        returned.TrySetResult();
    }

    private async ValueTask ReturnAsync(Slot slot, ConversationSession? session, string? lost)
    {
        ConversationSession? unwanted = null;
        lock (_lock)
        {
            slot.IsTaken = false;
            slot.Session = session;
            if (session is null)
            {
                _slots.Remove(slot.ConversationId);
                if (lost is not null)
                {
                    Remember(slot.ConversationId, lost); // nobody was told yet
                }
            }
            else if (_disposed)
            {
                Drop(slot, "its store was disposed");
                unwanted = session;
            }
            else
            {
                slot.ReturnedAt = _time.GetTimestamp();
                if (_idleTimeout != Timeout.InfiniteTimeSpan)
                {
                    slot.IdleTimer = _time.CreateTimer(_ => OnIdle(slot), null, _idleTimeout, Timeout.InfiniteTimeSpan);
                }
            }

            SignalReturned();
        }

        await EndQuietlyAsync(unwanted).ConfigureAwait(false);
    }

    private void OnIdle(Slot slot)
    {
        lock (_lock)
        {
            // The timer may have fired when a request was just taking it.
            if (slot.IsTaken || slot.IdleTimer is null || !_slots.TryGetValue(slot.ConversationId, out var current) || current != slot)
            {
                return;
            }

            Drop(slot, string.Create(CultureInfo.InvariantCulture, $"it was idle for {_idleTimeout.TotalMinutes:0.##} minutes"));
            SignalReturned();
        }

        _ = EndQuietlyAsync(slot.Session);
    }

    private async Task EndQuietlyAsync(ConversationSession? session)
    {
        try
        {
            if (session is not null)
            {
                await session.DisposeAsync().ConfigureAwait(false);
            }
        }
        catch (Exception error)
        {
            Log.SessionNotEnded(_logger, error.GetType().Name);
        }
    }

    private sealed class Slot(string conversationId)
    {
        public string ConversationId => conversationId;

        public ConversationSession? Session { get; set; }

        public bool IsTaken { get; set; }

        public long ReturnedAt { get; set; }

        public ITimer? IdleTimer { get; set; }
    }

    private sealed class Lease(SessionStore store, Slot slot, string? lost) : ISessionLease
    {
        private int _returned;

        public ConversationSession? Session { get; set; } = slot.Session;

        public string? Lost => lost;

        public ValueTask DisposeAsync() =>
            Interlocked.Exchange(ref _returned, 1) == 0 ? store.ReturnAsync(slot, Session, lost) : ValueTask.CompletedTask;
    }
}
