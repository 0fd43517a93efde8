using System.Diagnostics.CodeAnalysis;

namespace DeepRecall.Request;

/// <summary>A context that is a stream of the caller.</summary>
[SuppressMessage("Design", "CA1001", Justification = "A content has no end of its own; the spool is unlinked when its handle is collected.")]
internal sealed class StreamSource(Stream stream, ContextFormat format, string? name) : ContextSource(format, name)
{
    public const int CopySize = 256 * 1024;

    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly long _origin = stream.CanSeek ? stream.Position : 0;
    private Stream? _spool;

    public override async Task<long> WriteAsync(Stream target, CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var source = stream;
            if (stream.CanSeek)
            {
                stream.Position = _origin;
            }
            else
            {
                source = _spool ??= await SpoolAsync(cancellationToken).ConfigureAwait(false);
                source.Position = 0;
            }

            await source.CopyToAsync(target, CopySize, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _turn.Release();
        }

        return 0;
    }

    private async Task<Stream> SpoolAsync(CancellationToken cancellationToken)
    {
        // Unlinked when it is closed, at the latest when this source is collected.
        var spool = new FileStream(
            Path.Combine(Path.GetTempPath(), Path.GetRandomFileName()),
            new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.ReadWrite,
                Share = FileShare.None,
                BufferSize = 0,
                Options = FileOptions.Asynchronous | FileOptions.DeleteOnClose,
            });
        try
        {
            await stream.CopyToAsync(spool, CopySize, cancellationToken).ConfigureAwait(false);
            return spool;
        }
        catch
        {
            await spool.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }
}
