using DeepRecall.Backends.Anthropic;
using DeepRecall.Backends.AzureInference;
using DeepRecall.Backends.Gemini;
using DeepRecall.Backends.Http;
using DeepRecall.Backends.Ollama;
using DeepRecall.Backends.OpenAI;
using Microsoft.Extensions.AI;

namespace DeepRecall.Backends;

/// <summary>Makes chat clients of LLM providers.</summary>
public static class Backend
{
    /// <summary>Makes the chat client that the options describe.</summary>
    /// <param name="options">The provider, the model, and how to call it; read here, once.</param>
    /// <param name="services">
    /// Where <see cref="IHttpClientFactory"/> (the handlers of its client <c>DeepRecall.{name}</c> are used; headers with keys are put on
    /// below them), <c>ILoggerFactory</c> and <see cref="TimeProvider"/> come from; <see langword="null"/>, or one without them, is fine.
    /// </param>
    /// <returns>
    /// A thread-safe client. It retries, limits the time of each attempt, carries the cost of each response in its usage
    /// (<see cref="Budgets.UsageCostExtensions.GetCostUsd"/>), and passes the provider's own exceptions on, without the key.
    /// </returns>
    /// <exception cref="ArgumentException">An option is missing or out of range.</exception>
    public static IChatClient CreateChatClient(BackendOptions options, IServiceProvider? services = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        var settings = BackendSettings.Resolve(options, Environment.GetEnvironmentVariable);
        var http = BackendHttp.CreateClient(settings, services);
        var client = settings.Provider.Family switch
        {
            ProviderFamily.OpenAI => OpenAIBackend.Create(settings, http),
            ProviderFamily.Anthropic => AnthropicBackend.Create(settings, http),
            ProviderFamily.Gemini => new GeminiChatClient(settings.BaseUrl, settings.Model, http),
            ProviderFamily.Ollama => OllamaBackend.Create(settings, http),
            ProviderFamily.AzureInference => AzureInferenceBackend.Create(settings, http),
            var family => throw new InvalidOperationException($"The family {family} has no client."),
        };
        return new BackendChatClient(client, settings);
    }
}
