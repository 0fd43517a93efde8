using System.Text.Json.Nodes;
using DeepRecall.Backends.Tests.Contract;
using DeepRecall.Testing.Emulators;
using Microsoft.Extensions.AI;

namespace DeepRecall.Backends.Tests.Anthropic;

public sealed class AnthropicContractTests : BackendContract<AnthropicEmulator>
{
    private protected override string Provider => BackendNames.Anthropic;

    private protected override int? CachedTokens => 40;

    // The SDK sends keys as bearer tokens, and no x-api-key.
    private protected override IReadOnlyDictionary<string, string?> ExpectedHeaders { get; } = new Dictionary<string, string?>
    {
        ["Authorization"] = $"Bearer {Key}",
        ["x-api-key"] = null,
        ["anthropic-version"] = "2026-10-21",
    };

    private protected override string PathOf(string model, bool streamed) => "/v1/messages";

    private protected override string QueryOf(bool streamed) => string.Empty;

    private protected override string BodyOf(string model, IReadOnlyList<ChatMessage> messages, bool streamed, Sampling sampling)
    {
        // The API's version of 2026-10-21 refuses temperature and top_p, and knows no seed: the SDK leaves them out.
        var body = new JsonObject
        {
            ["model"] = model,
            ["max_tokens"] = sampling.MaxOutputTokens,
            ["messages"] = new JsonArray([.. messages.Where(message => message.Role != ChatRole.System).Select(message => new JsonObject { ["role"] = message.Role.Value, ["content"] = Texts([message]) })]),
        };
        var system = messages.Where(message => message.Role == ChatRole.System).ToArray();
        if (system.Length > 0)
        {
            body["system"] = Texts(system);
        }

        if (streamed)
        {
            body["stream"] = true;
        }

        return body.ToJsonString();
    }

    private static JsonArray Texts(IEnumerable<ChatMessage> messages) => new([.. messages.Select(message => new JsonObject { ["type"] = "text", ["text"] = message.Text })]);
}
