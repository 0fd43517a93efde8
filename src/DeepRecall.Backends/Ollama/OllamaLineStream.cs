using System.Net;
using System.Text;
using DeepRecall.Backends.Http;

namespace DeepRecall.Backends.Ollama;

/// <summary>The lines of a streamed answer; one that is an error ends it with its message, where OllamaSharp would skip it and end as if all had been said.</summary>
internal sealed class OllamaLineStream(Stream lines) : ResponseStream
{
    private readonly StreamReader _reader = new(lines, Encoding.UTF8);
    private ReadOnlyMemory<byte> _line;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_line.IsEmpty && buffer.Length > 0)
        {
            if (await _reader.ReadLineAsync(cancellationToken).ConfigureAwait(false) is not { } line)
            {
                return 0;
            }

            if (OllamaErrorHandler.ErrorOf(line) is { } error)
            {
                throw new HttpRequestException($"Ollama failed while it answered: {error}", inner: null, HttpStatusCode.InternalServerError);
            }

            _line = Encoding.UTF8.GetBytes(line + "\n");
        }

        var length = Math.Min(buffer.Length, _line.Length);
        _line[..length].CopyTo(buffer);
        _line = _line[length..];
        return length;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _reader.Dispose();
        }

        base.Dispose(disposing);
    }
}
