using Azure;
using Azure.AI.Inference;
using Azure.Core.Pipeline;
using Microsoft.Extensions.AI;

namespace DeepRecall.Backends.AzureInference;

/// <summary>Azure AI Inference, through its SDK.</summary>
internal static class AzureInferenceBackend
{
    public static IChatClient Create(BackendSettings settings, HttpClient http)
    {
        var options = new AzureAIInferenceClientOptions { Transport = new HttpClientTransport(http) };

        // Retries and time limits are the HTTP client's.
        options.Retry.MaxRetries = 0;
        options.Retry.NetworkTimeout = Timeout.InfiniteTimeSpan;
        var client = new ChatCompletionsClient(new Uri(settings.BaseUrl.GetLeftPart(UriPartial.Path).TrimEnd('/')), new AzureKeyCredential(settings.ApiKey!), options);
        return new AzureInferenceChatClient(client, settings.BaseUrl, settings.Model);
    }
}
