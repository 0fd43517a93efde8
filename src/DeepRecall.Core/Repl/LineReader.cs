namespace DeepRecall.Repl;

/// <summary>Reads lines of bytes from a stream; looks at no byte twice, and holds no more than the longest line allowed.</summary>
internal sealed class LineReader(Stream stream, int maxLineBytes)
{
    private byte[] _buffer = new byte[16 * 1024];
    private int _start;
    private int _scanned;
    private int _end;

    /// <summary>Reads the next line, without its line feed; it is valid until the next call. <see langword="null"/> at the end.</summary>
    /// <exception cref="InvalidDataException">The line is longer than allowed.</exception>
    public async ValueTask<ReadOnlyMemory<byte>?> ReadAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var found = _buffer.AsSpan(_scanned, _end - _scanned).IndexOf((byte)'\n');
            if (found >= 0)
            {
                var line = _buffer.AsMemory(_start, _scanned + found - _start);
                _start = _scanned = _scanned + found + 1;
                return line;
            }

            _scanned = _end;
            MakeRoom();
            var read = await stream.ReadAsync(_buffer.AsMemory(_end), cancellationToken).ConfigureAwait(false);
            if (read == 0)
            {
                return null;
            }

            _end += read;
        }
    }

    private void MakeRoom()
    {
        var length = _end - _start;
        if (length > maxLineBytes)
        {
            throw new InvalidDataException($"The worker sent a message of more than {maxLineBytes:N0} bytes.");
        }

        if (_end < _buffer.Length)
        {
            return;
        }

        // A full buffer: move what is left to its front, into a larger one when a single line fills most of it.
        var target = length > _buffer.Length / 2 ? new byte[Math.Min(_buffer.Length * 2L, maxLineBytes + 4096L)] : _buffer;
        Buffer.BlockCopy(_buffer, _start, target, 0, length);
        _buffer = target;
        _scanned -= _start;
        _start = 0;
        _end = length;
    }
}
