using System.Text.Json;
using DeepRecall.Repl;

namespace DeepRecall.Request;

/// <summary>A context that is many documents, sent as one JSON string a line.</summary>
internal sealed class DocumentsSource(IEnumerable<string> documents, string? name) : ContextSource(ContextFormat.JsonLines, name)
{
    private static readonly byte[] LineFeed = "\n"u8.ToArray();

    public override async Task<long> WriteAsync(Stream target, CancellationToken cancellationToken)
    {
        long replaced = 0;
        var index = 0;
        var writer = new Utf8JsonWriter(target, ProtocolJson.WriterOptions);
        await using (writer.ConfigureAwait(false))
        {
            foreach (var document in documents)
            {
                if (document is null)
                {
                    throw new InvalidDataException($"Document {index} is null.");
                }

                replaced += LoneSurrogates.Count(document);
                writer.WriteStringValue(document);
                await writer.FlushAsync(cancellationToken).ConfigureAwait(false);
                await target.WriteAsync(LineFeed, cancellationToken).ConfigureAwait(false);
                writer.Reset();
                index++;
            }
        }

        return replaced;
    }
}
