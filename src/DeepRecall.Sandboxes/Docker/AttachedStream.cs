using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;
using Docker.DotNet;

namespace DeepRecall.Sandboxes.Docker;

/// <summary>The standard streams of a container: what is read is its output, what is written its input; its errors are kept aside.</summary>
internal sealed class AttachedStream(MultiplexedStream stream) : Stream
{
    private const int MaxErrorBytes = 4_000;

    private readonly ArrayBufferWriter<byte> _errors = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>Completes when the output was read to its end, or cannot be read any more.</summary>
    public Task Ended => _ended.Task;

    /// <summary>The beginning of what came on the standard error; complete when the output was read to its end.</summary>
    public string Errors
    {
        get
        {
            lock (_errors)
            {
                return Encoding.UTF8.GetString(_errors.WrittenSpan).Trim();
            }
        }
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var array = MemoryMarshal.TryGetArray<byte>(buffer, out var segment) ? segment : new ArraySegment<byte>(new byte[buffer.Length]);
        var read = 0;
        try
        {
            read = await ReadOutputAsync(array, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            if (read == 0)
            {
                _ended.TrySetResult();
            }
        }

        if (segment.Array is null)
        {
            array.AsSpan(0, read).CopyTo(buffer.Span);
        }

        return read;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var array = MemoryMarshal.TryGetArray(buffer, out var segment) ? segment : new ArraySegment<byte>(buffer.ToArray());
        await stream.WriteAsync(array.Array!, array.Offset, array.Count, cancellationToken).ConfigureAwait(false);
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("This stream is read asynchronously.");

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("This stream is written asynchronously.");

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            stream.Dispose();
        }

        base.Dispose(disposing);
    }

    private async ValueTask<int> ReadOutputAsync(ArraySegment<byte> buffer, CancellationToken cancellationToken)
    {
        while (true)
        {
            var read = await stream.ReadOutputAsync(buffer.Array!, buffer.Offset, buffer.Count, cancellationToken).ConfigureAwait(false);
            if (read.Target != MultiplexedStream.TargetStream.StandardError)
            {
                return read.Count;
            }

            KeepError(buffer.AsSpan(0, read.Count));
        }
    }

    private void KeepError(ReadOnlySpan<byte> bytes)
    {
        lock (_errors)
        {
            _errors.Write(bytes[..Math.Min(bytes.Length, MaxErrorBytes - _errors.WrittenCount)]);
        }
    }
}
