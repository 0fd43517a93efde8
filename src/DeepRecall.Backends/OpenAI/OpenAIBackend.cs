using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text.Json;
using Microsoft.Extensions.AI;
using OpenAI;
using OpenAI.Chat;

namespace DeepRecall.Backends.OpenAI;

/// <summary>The providers that speak OpenAI's chat completions: OpenAI, Azure OpenAI, gateways and servers of one's own.</summary>
internal static class OpenAIBackend
{
    private const string AzureScope = "https://cognitiveservices.azure.com/.default";

    public static IChatClient Create(BackendSettings settings, HttpClient http)
    {
        var options = new OpenAIClientOptions
        {
            Endpoint = EndpointOf(settings),
            OrganizationId = settings.Options.Organization,
            Transport = new HttpClientPipelineTransport(http),

            // Retries and time limits are the HTTP client's.
            RetryPolicy = new ClientRetryPolicy(maxRetries: 0),
            NetworkTimeout = Timeout.InfiniteTimeSpan,
        };
        if (settings.Options.Credential is { } credential && settings.ApiKey is null)
        {
#pragma warning disable OPENAI001 // the only way to give tokens of Entra ID
            return new ChatClient(settings.Model, new BearerTokenPolicy(credential, AzureScope), options).AsIChatClient();
#pragma warning restore OPENAI001
        }

        // vLLM takes any key, but the SDK does not take none. Keys that belong elsewhere than into a bearer token are moved by the HTTP client.
        return new ChatClient(settings.Model, new ApiKeyCredential(settings.ApiKey ?? "EMPTY"), options).AsIChatClient();
    }

    /// <summary>
    /// What a response cost, where the provider tells it in the usage: OpenRouter's <c>cost</c>, or for a key of one's own (BYOK, when
    /// <c>cost</c> is 0) <c>cost_details.upstream_inference_cost</c> (openrouter.ai/docs, "Usage accounting").
    /// </summary>
    public static decimal? CostOf(ChatResponse response) => (response.RawRepresentation as ChatCompletion)?.Usage is { } usage ? CostOf(usage) : null;

    public static decimal? CostOf(UsageContent content) => content.RawRepresentation is ChatTokenUsage usage ? CostOf(usage) : null;

    /// <summary>Servers of vLLM before 0.6.4 know only <c>max_tokens</c>; newer ones accept both names with one value.</summary>
    public static void AddLegacyMaxTokens(BackendSettings settings, ChatOptions options)
    {
        if (settings.Provider.Name != BackendNames.Vllm || options.MaxOutputTokens is not { } limit)
        {
            return;
        }

        var own = options.RawRepresentationFactory;
        options.RawRepresentationFactory = client =>
        {
            var raw = own?.Invoke(client) as ChatCompletionOptions ?? new ChatCompletionOptions();
#pragma warning disable SCME0001 // the only way to a field that the SDK does not know
            raw.Patch.Set("$.max_tokens"u8, limit);
#pragma warning restore SCME0001
            return raw;
        };
    }

    private static decimal? CostOf(ChatTokenUsage usage)
    {
        using var json = JsonDocument.Parse(ModelReaderWriter.Write(usage));
        var cost = Number(json.RootElement, "cost");
        if (cost is not > 0
            && json.RootElement.TryGetProperty("cost_details", out var details)
            && details.ValueKind == JsonValueKind.Object
            && Number(details, "upstream_inference_cost") is { } upstream)
        {
            return upstream;
        }

        return cost;
    }

    private static decimal? Number(JsonElement parent, string name) =>
        parent.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetDecimal(out var number) && number >= 0 ? number : null;

    private static Uri EndpointOf(BackendSettings settings)
    {
        var url = settings.BaseUrl.GetLeftPart(UriPartial.Path).TrimEnd('/');
        return settings.Provider.Name switch
        {
            BackendNames.AzureOpenAI when BackendSettings.IsV1(settings.BaseUrl) => new Uri(url),
            BackendNames.AzureOpenAI when settings.ApiVersion is not null => new Uri($"{url}/openai/deployments/{Uri.EscapeDataString(settings.Model)}"),
            BackendNames.AzureOpenAI => new Uri($"{url}/openai/v1"),

            // vLLM serves the API below /v1; an address without a path is its host.
            BackendNames.Vllm when settings.BaseUrl.AbsolutePath == "/" => new Uri($"{url}/v1"),
            _ => new Uri(url),
        };
    }
}
