using System.Text.RegularExpressions;
using Anthropic;
using Anthropic.Core;
using Microsoft.Extensions.AI;

namespace DeepRecall.Backends.Anthropic;

/// <summary>Anthropic's messages, through the official SDK.</summary>
internal static partial class AnthropicBackend
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
        var thinking = BeforeAdaptiveThinking().IsMatch(settings.Model) ? AnthropicThinkingMode.Extended : AnthropicThinkingMode.Adaptive;
        return client.AsIChatClient(settings.Model, settings.Options.MaxOutputTokens ?? DefaultMaxOutputTokens, thinking);
    }

    /// <summary>Models up to 4.5, which refuse adaptive thinking (platform.claude.com/docs, "Adaptive thinking").</summary>
    [GeneratedRegex(@"claude-(2|3|4|instant)|(opus|sonnet|haiku)-4([-.@][0-5](?![0-9])|[-@]20|$)", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture)]
    private static partial Regex BeforeAdaptiveThinking();
}
