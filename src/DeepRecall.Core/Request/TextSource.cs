using System.Buffers;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Unicode;

namespace DeepRecall.Request;

/// <summary>A context that is a string in memory.</summary>
internal sealed class TextSource(string text, ContextFormat format, string? name) : ContextSource(format, name)
{
    private const int InlineLimit = 16 * 1024;
    private const int BufferSize = 256 * 1024;
    private const int HashLimit = 16_000_000;

    public override string Identity => text.Length <= HashLimit
        ? Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes(text.AsSpan())))
        : base.Identity;

    public override string? Inline => text.Length <= InlineLimit && LoneSurrogates.Count(text) == 0 ? text : null;

    public override Task<long> WriteAsync(Stream target, CancellationToken cancellationToken) =>
        WriteAsync(text.AsMemory(), target, cancellationToken);

    internal static async Task<long> WriteAsync(ReadOnlyMemory<char> text, Stream target, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        long replaced = 0;
        try
        {
            while (!text.IsEmpty)
            {
                var status = Utf8.FromUtf16(text.Span, buffer, out var read, out var written, replaceInvalidSequences: false);
                if (status == OperationStatus.InvalidData)
                {
                    if (written > buffer.Length - 3)
                    {
                        status = OperationStatus.DestinationTooSmall;
                    }
                    else
                    {
                        "\uFFFD"u8.CopyTo(buffer.AsSpan(written));
                        (read, written, replaced) = (read + 1, written + 3, replaced + 1);
                    }
                }

                await target.WriteAsync(buffer.AsMemory(0, written), cancellationToken).ConfigureAwait(false);
                text = text[read..];
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return replaced;
    }
}
