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
        var path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            Share = FileShare.Delete,
            BufferSize = 0,
            Options = FileOptions.Asynchronous | FileOptions.DeleteOnClose,
        };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        var spool = new FileStream(path, options);
        if (!OperatingSystem.IsWindows())
        {
            File.Delete(path); // open but without a name: nothing is left, however the process ends
        }

        var copying = stream.CopyToAsync(spool, CopySize, cancellationToken);
        try
        {
            await copying.WaitAsync(cancellationToken).ConfigureAwait(false);
            return spool;
        }
        catch
        {
            // A read that heeds no token is left behind: it finds the spool closed.
            _ = copying.ContinueWith(static left => left.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
            await spool.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }
}
