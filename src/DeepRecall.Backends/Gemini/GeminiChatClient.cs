using System.Net;
using System.Net.Http.Headers;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using DeepRecall.Backends.Http;
using Microsoft.Extensions.AI;

namespace DeepRecall.Backends.Gemini;

/// <summary>Google's Gemini, over <c>generateContent</c> and <c>streamGenerateContent</c>.</summary>
internal sealed class GeminiChatClient(Uri baseUrl, string model, HttpClient http) : IChatClient
{
    private readonly string _base = baseUrl.GetLeftPart(UriPartial.Path).TrimEnd('/');
    private readonly ChatClientMetadata _metadata = new("gcp.gemini", baseUrl, model);

    public async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(messages);
        using var response = await SendAsync(messages, options, "generateContent", HttpCompletionOption.ResponseContentRead, cancellationToken).ConfigureAwait(false);
        var body = await response.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false);
        var update = GeminiMapper.ToUpdate(Read(body, response), ModelOf(options));
        var result = new[] { update }.ToChatResponse();
        result.RawRepresentation = update.RawRepresentation;
        return result;
    }

    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages,
        ChatOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(messages);
        using var response = await SendAsync(messages, options, "streamGenerateContent?alt=sse", HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
        using var body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        GeminiUsage? usage = null;
        string? id = null;
        var called = false;
        await foreach (var item in SseParser.Create(body).EnumerateAsync(cancellationToken).ConfigureAwait(false))
        {
            var part = Read(item.Data, response);

            // Every event tells the usage so far; only the last one counts.
            usage = part.UsageMetadata ?? usage;
            id ??= part.ResponseId;
            var update = GeminiMapper.ToUpdate(part with { UsageMetadata = null }, ModelOf(options));
            update.ResponseId = update.MessageId = id;

            // The calls and the reason may come in different events.
            called |= update.Contents.OfType<FunctionCallContent>().Any();
            update.FinishReason = called && update.FinishReason == ChatFinishReason.Stop ? ChatFinishReason.ToolCalls : update.FinishReason;
            yield return update;
        }

        if (usage is not null)
        {
            yield return new ChatResponseUpdate { ResponseId = id, MessageId = id, Role = ChatRole.Assistant, Contents = [new UsageContent(GeminiMapper.ToUsage(usage))] };
        }
    }

    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is not null ? null
            : serviceType == typeof(ChatClientMetadata) ? _metadata
            : serviceType.IsInstanceOfType(this) ? this
            : null;
    }

    public void Dispose() => http.Dispose();

    private static GeminiResponse Read(string body, HttpResponseMessage response)
    {
        GeminiResponse? result;
        try
        {
            result = JsonSerializer.Deserialize(body, GeminiJson.Default.GeminiResponse);
        }
        catch (JsonException error)
        {
            throw new GeminiException(response.StatusCode, null, $"Gemini answered with what is not JSON of a response: {error.Message}", error);
        }

        return result switch
        {
            null => throw new GeminiException(response.StatusCode, null, "Gemini answered with null."),
            { Error: { } failure } => throw Failure((HttpStatusCode)(failure.Code ?? (int)response.StatusCode), failure),
            _ => result,
        };
    }

    private static GeminiException Failure(HttpStatusCode status, GeminiError error, TimeSpan? retryDelay = null) =>
        new(status, error.Status, $"Gemini answered {(int)status}{(error.Status is { } name ? $" ({name})" : string.Empty)}: {error.Message ?? "no message"}", retryDelay: retryDelay);

    private string ModelOf(ChatOptions? options) => options?.ModelId ?? model;

    private async Task<HttpResponseMessage> SendAsync(IEnumerable<ChatMessage> messages, ChatOptions? options, string method, HttpCompletionOption completion, CancellationToken cancellationToken)
    {
        var body = JsonSerializer.SerializeToUtf8Bytes(GeminiMapper.ToRequest(messages, options, model), GeminiJson.Default.GeminiRequest);
        var name = ModelOf(options);
        var path = name.Contains('/', StringComparison.Ordinal) ? name : $"models/{name}";
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{_base}/{path}:{method}") { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        var response = await http.SendAsync(request, completion, cancellationToken).ConfigureAwait(false);
        if (response.IsSuccessStatusCode)
        {
            return response;
        }

        using (response)
        {
            var text = await response.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false);
            throw Failure(response.StatusCode, ReadError(text), GoogleRetryInfo.Find(text));
        }
    }

    private static GeminiError ReadError(string body)
    {
        try
        {
            if (JsonSerializer.Deserialize(body, GeminiJson.Default.GeminiErrorBody)?.Error is { } error)
            {
                return error;
            }
        }
        catch (JsonException)
        {
            // A proxy's page, not the API's answer.
        }

        return new GeminiError(null, body.Length > 500 ? body[..500] : body, null);
    }
}
