using System.Buffers;

namespace DeepRecall.Sandboxes.Cloud;

/// <summary>
/// A stream whose writes return before they are sent: one piece is under way at a time, and what is written meanwhile goes together as the
/// next. So nobody waits for the acknowledgement of somebody else's bytes, however far away it comes from.
/// </summary>
/// <param name="send">Sends bytes, in order, and returns when the other side has them. Told the bytes' place in the stream.</param>
/// <param name="onFailure">Told why a piece could not be sent; the stream takes no more then.</param>
/// <param name="maxPiece">How many bytes go at once, and how many may wait.</param>
internal sealed class PipelinedInput(Func<long, ReadOnlyMemory<byte>, Task> send, Action<Exception> onFailure, int maxPiece) : WriteOnlyStream
{
    private readonly Lock _lock = new();
    private byte[] _waiting = [];
    private byte[] _sending = [];
    private int _count;
    private bool _busy;
    private long _offset;
    private Exception? _failure;
    private TaskCompletionSource? _room;
    private TaskCompletionSource? _idle;

    /// <summary>Whether something could not be sent; every write after that fails.</summary>
    public bool HasFailed
    {
        get
        {
            lock (_lock)
            {
                return _failure is not null;
            }
        }
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (buffer.Length > 0)
        {
            var (taken, room) = Take(buffer.Span);
            buffer = buffer[taken..];
            if (room is not null)
            {
                await room.WaitAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Waits until everything written is sent.</summary>
    /// <returns>How many bytes that was.</returns>
    /// <exception cref="IOException">Something could not be sent.</exception>
    public async Task<long> DrainAsync(CancellationToken cancellationToken)
    {
        Task idle;
        lock (_lock)
        {
            ThrowIfFailed();
            idle = _busy ? (_idle ??= NewSource()).Task : Task.CompletedTask;
        }

        await idle.WaitAsync(cancellationToken).ConfigureAwait(false);
        lock (_lock)
        {
            ThrowIfFailed();
            return _offset;
        }
    }

    private static TaskCompletionSource NewSource() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private (int Taken, Task? Room) Take(ReadOnlySpan<byte> bytes)
    {
        int taken;
        Task? room = null;
        bool starts;
        lock (_lock)
        {
            ThrowIfFailed();
            taken = Math.Min(bytes.Length, maxPiece - _count);
            if (_count + taken > _waiting.Length)
            {
                Grow(_count + taken);
            }

            bytes[..taken].CopyTo(_waiting.AsSpan(_count));
            _count += taken;
            starts = !_busy;
            _busy = true;
            if (taken < bytes.Length && !starts)
            {
                room = (_room ??= NewSource()).Task;
            }
        }

        if (starts)
        {
            _ = SendAllAsync(); // here, as far as it goes without waiting: another thread would have to be woken first
        }

        return (taken, room);
    }

    private void Grow(int needed)
    {
        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(needed, 4096));
        _waiting.AsSpan(0, _count).CopyTo(larger);
        Return(_waiting);
        _waiting = larger;
    }

    private static void Return(byte[] buffer)
    {
        if (buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async Task SendAllAsync()
    {
        while (true)
        {
            int count;
            lock (_lock)
            {
                _room?.TrySetResult();
                _room = null;
                if (_count == 0)
                {
                    _busy = false;
                    _idle?.TrySetResult();
                    _idle = null;
                    return;
                }

                (_waiting, _sending) = (_sending, _waiting);
                (count, _count) = (_count, 0);
            }

            try
            {
                await send(_offset, _sending.AsMemory(0, count)).ConfigureAwait(false);
            }
            catch (Exception error)
            {
                Fail(error);
                return;
            }

            lock (_lock)
            {
                _offset += count;
            }
        }
    }

    private void Fail(Exception error)
    {
        lock (_lock)
        {
            // The buffers stay as they are: a transport that failed may still look at them.
            _failure = error;
            _room?.TrySetResult();
            _idle?.TrySetResult();
        }

        onFailure(error);
    }

    private void ThrowIfFailed()
    {
        if (_failure is { } failure)
        {
            throw new IOException(failure.Message, failure);
        }
    }
}
