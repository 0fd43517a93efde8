namespace DeepRecall.Backends.Http;

/// <summary>A response that is still arriving: its first piece, then the rest, each of which may take only so long.</summary>
internal sealed class TimeoutStream(ReadOnlyMemory<byte> first, Stream rest, BackendSettings settings, TimeProvider time) : ResponseStream
{
    private ReadOnlyMemory<byte> _first = first;

    public static TimeoutException RunOut(BackendSettings settings, Exception cause) =>
        new($"The backend '{settings.Name}' did not answer within {settings.Options.Timeout.TotalSeconds:0.###} seconds ({nameof(BackendOptions)}.{nameof(BackendOptions.Timeout)}).", cause);

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (!_first.IsEmpty)
        {
            var length = Math.Min(buffer.Length, _first.Length);
            _first[..length].CopyTo(buffer);
            _first = _first[length..];
            return length;
        }

        using var limit = new CancellationTokenSource(settings.Options.Timeout, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, limit.Token);
        try
        {
            return await rest.ReadAsync(buffer, linked.Token).ConfigureAwait(false);
        }
        catch (Exception error) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested && error is OperationCanceledException or IOException)
        {
            throw RunOut(settings, error);
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            rest.Dispose();
        }

        base.Dispose(disposing);
    }
}
