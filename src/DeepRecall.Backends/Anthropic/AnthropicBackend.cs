using Anthropic;
using Anthropic.Core;
using Microsoft.Extensions.AI;

namespace DeepRecall.Backends.Anthropic;

/// <summary>Anthropic's messages, through the official SDK.</summary>
internal static class AnthropicBackend
{
    /// <summary>The API demands a limit; this one every current model allows.</summary>
    private const int DefaultMaxOutputTokens = 8_192;

    public static IChatClient Create(BackendSettings settings, HttpClient http)
    {
        var client = new AnthropicClient(new ClientOptions
        {
            ApiKey = settings.ApiKey,
            BaseUrl = settings.BaseUrl.GetLeftPart(UriPartial.Path).TrimEnd('/'),
            HttpClient = http,

            // Retries and time limits are the HTTP client's; unset, the SDK's limit would be 30 seconds for short replies.
            MaxRetries = 0,
            Timeout = TimeSpan.FromMilliseconds(int.MaxValue),
        });
        return client.AsIChatClient(settings.Model, settings.Options.MaxOutputTokens ?? DefaultMaxOutputTokens);
    }
}
