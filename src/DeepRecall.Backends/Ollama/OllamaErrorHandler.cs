using System.Text.Json;

namespace DeepRecall.Backends.Ollama;

/// <summary>Keeps the server's message of an error, which OllamaSharp drops for most statuses.</summary>
internal sealed class OllamaErrorHandler(HttpMessageHandler innerHandler) : DelegatingHandler(innerHandler)
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var response = await base.SendAsync(request, cancellationToken).ConfigureAwait(false);
        if (response.IsSuccessStatusCode)
        {
            return response;
        }

        using (response)
        {
            var body = await response.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false);
            throw new HttpRequestException($"Ollama answered {(int)response.StatusCode}: {MessageOf(body)}", inner: null, response.StatusCode);
        }
    }

    private static string MessageOf(string body)
    {
        try
        {
            using var json = JsonDocument.Parse(body);
            if (json.RootElement.ValueKind == JsonValueKind.Object && json.RootElement.TryGetProperty("error", out var error) && error.ValueKind == JsonValueKind.String)
            {
                return error.GetString()!;
            }
        }
        catch (JsonException)
        {
            // A proxy's page, not the server's answer.
        }

        return body.Length > 500 ? body[..500] : body;
    }
}
