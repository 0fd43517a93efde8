namespace DeepRecall.Testing.Emulators;

/// <summary>What a process wrote, kept whole, and read from any place in it, also while it grows.</summary>
public sealed class OutputLog
{
    private readonly Lock _lock = new();
    private byte[] _bytes = new byte[4096];
    private int _length;
    private bool _ended;
    private TaskCompletionSource _changed = NewSource();

    /// <summary>Copies a stream into the log, to its end.</summary>
    public async Task FillAsync(Stream stream)
    {
        var buffer = new byte[64 * 1024];
        try
        {
            while (await stream.ReadAsync(buffer) is var count and > 0)
            {
                Append(buffer.AsSpan(0, count));
            }
        }
        catch (IOException)
        {
            // A terminal that hung up.
        }

        End();
    }

    public void Append(ReadOnlySpan<byte> bytes)
    {
        lock (_lock)
        {
            if (_length + bytes.Length > _bytes.Length)
            {
                Array.Resize(ref _bytes, Math.Max(_bytes.Length * 2, _length + bytes.Length));
            }

            bytes.CopyTo(_bytes.AsSpan(_length));
            _length += bytes.Length;
            Change();
        }
    }

    public void End()
    {
        lock (_lock)
        {
            _ended = true;
            Change();
        }
    }

    /// <summary>Reads from a place on, once there is something; nothing at the end.</summary>
    public async Task<byte[]> ReadAsync(long offset, int most, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task changed;
            lock (_lock)
            {
                if (offset < _length)
                {
                    return _bytes.AsSpan((int)offset, Math.Min(most, _length - (int)offset)).ToArray();
                }

                if (_ended)
                {
                    return [];
                }

                changed = _changed.Task;
            }

            await changed.WaitAsync(cancellationToken);
        }
    }

    private static TaskCompletionSource NewSource() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private void Change()
    {
        var changed = _changed;
        _changed = NewSource();
        changed.TrySetResult();
    }
}
