using System.Text.Json;

namespace DeepRecall.Backends.Ollama;

/// <summary>Keeps the server's message of an error, which OllamaSharp drops for most statuses, and in streams.</summary>
internal sealed class OllamaErrorHandler(HttpMessageHandler innerHandler) : DelegatingHandler(innerHandler)
{
    /// <summary>The message of a body, or of a line of a stream, that is an error in the server's form.</summary>
    public static string? ErrorOf(string json)
    {
        // Most lines are pieces of an answer, and need no second parse.
        if (!json.Contains("\"error\"", StringComparison.Ordinal))
        {
            return null;
        }

        try
        {
            using var parsed = JsonDocument.Parse(json);
            return parsed.RootElement.ValueKind == JsonValueKind.Object && parsed.RootElement.TryGetProperty("error", out var error) && error.ValueKind == JsonValueKind.String
                ? error.GetString()
                : null;
        }
        catch (JsonException)
        {
            return null; // a proxy's page, not the server's answer
        }
    }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var response = await base.SendAsync(request, cancellationToken).ConfigureAwait(false);
        if (response.IsSuccessStatusCode && response.Content.Headers.ContentType?.MediaType == "application/x-ndjson")
        {
            var lines = new StreamContent(new OllamaLineStream(await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false)));
            lines.Headers.ContentType = response.Content.Headers.ContentType;
            response.Content = lines;
        }

        if (response.IsSuccessStatusCode)
        {
            return response;
        }

        using (response)
        {
            var body = await response.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false);
            throw new HttpRequestException($"Ollama answered {(int)response.StatusCode}: {ErrorOf(body) ?? (body.Length > 500 ? body[..500] : body)}", inner: null, response.StatusCode);
        }
    }
}
