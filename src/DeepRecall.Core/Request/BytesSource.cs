namespace DeepRecall.Request;

/// <summary>A context that is bytes in memory, of a <c>DataContent</c> with a text media type.</summary>
internal sealed class BytesSource(ReadOnlyMemory<byte> data, ContextFormat format, string? name) : ContextSource(format, name)
{
    public override async Task<long> WriteAsync(Stream target, CancellationToken cancellationToken)
    {
        await target.WriteAsync(data, cancellationToken).ConfigureAwait(false);
        return 0;
    }
}
