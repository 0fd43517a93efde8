using System.Net;

namespace DeepRecall.Sandboxes.Cloud;

/// <summary>A request body that is written while it is sent, so that it is never whole in memory.</summary>
internal sealed class CallbackContent(Func<Stream, CancellationToken, Task> write) : HttpContent
{
    /// <summary>What the writer threw: its own failure, and not one of the connection.</summary>
    public Exception? Failure { get; private set; }

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        var target = new TargetStream(stream);
        try
        {
            await write(target, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception error) when (!target.Failed)
        {
            Failure = error;
            throw;
        }
    }

    /// <summary>The connection's stream, which remembers that it failed itself.</summary>
    private sealed class TargetStream(Stream inner) : WriteOnlyStream
    {
        public bool Failed { get; private set; }

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            try
            {
                await inner.WriteAsync(buffer, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception error) when (error is IOException or HttpRequestException or ObjectDisposedException)
            {
                Failed = true;
                throw;
            }
        }

        public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);
    }
}
