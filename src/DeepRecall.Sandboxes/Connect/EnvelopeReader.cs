using System.Buffers.Binary;

namespace DeepRecall.Sandboxes.Connect;

/// <summary>Reads the envelopes of a Connect stream: a byte of flags, four of length, and a message.</summary>
internal sealed class EnvelopeReader(Stream stream, int maxMessageBytes)
{
    public const int HeaderLength = 5;
    private const byte Compressed = 1;
    private const byte EndOfStream = 2;

    private byte[] _buffer = new byte[64 * 1024];
    private int _start;
    private int _end;

    /// <summary>Reads the next envelope; its message is valid until the next call.</summary>
    /// <exception cref="ConnectException">The stream ended before its end was told, or holds what the protocol does not know.</exception>
    public async ValueTask<(bool IsEnd, ReadOnlyMemory<byte> Message)> ReadAsync(CancellationToken cancellationToken)
    {
        await FillAsync(HeaderLength, cancellationToken).ConfigureAwait(false);
        var flags = _buffer[_start];
        var length = BinaryPrimitives.ReadUInt32BigEndian(_buffer.AsSpan(_start + 1));
        if ((flags & ~EndOfStream) != 0)
        {
            throw new ConnectException("internal", (flags & Compressed) != 0 ? "the stream is compressed, which was not offered" : $"the stream holds an envelope with the unknown flags {flags}");
        }

        if (length > maxMessageBytes)
        {
            throw new ConnectException("internal", $"the stream holds a message of {length:N0} bytes, and {maxMessageBytes:N0} are allowed");
        }

        _start += HeaderLength;
        await FillAsync((int)length, cancellationToken).ConfigureAwait(false);
        var message = _buffer.AsMemory(_start, (int)length);
        _start += (int)length;
        return (flags == EndOfStream, message);
    }

    /// <summary>An envelope with one message.</summary>
    public static byte[] Wrap(ReadOnlySpan<byte> message, bool isEnd = false)
    {
        var envelope = new byte[HeaderLength + message.Length];
        envelope[0] = isEnd ? EndOfStream : (byte)0;
        BinaryPrimitives.WriteUInt32BigEndian(envelope.AsSpan(1), (uint)message.Length);
        message.CopyTo(envelope.AsSpan(HeaderLength));
        return envelope;
    }

    private async ValueTask FillAsync(int count, CancellationToken cancellationToken)
    {
        if (_end - _start >= count)
        {
            return;
        }

        var target = _buffer.Length < count ? new byte[Math.Max(count, _buffer.Length * 2)] : _buffer;
        Buffer.BlockCopy(_buffer, _start, target, 0, _end - _start);
        _buffer = target;
        _end -= _start;
        _start = 0;
        while (_end < count)
        {
            var read = await stream.ReadAsync(_buffer.AsMemory(_end), cancellationToken).ConfigureAwait(false);
            if (read == 0)
            {
                throw new ConnectException(ConnectException.Unavailable, "the stream broke off");
            }

            _end += read;
        }
    }
}
