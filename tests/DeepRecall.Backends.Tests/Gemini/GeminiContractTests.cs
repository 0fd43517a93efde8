using System.Text.Json.Nodes;
using DeepRecall.Backends.Tests.Contract;
using DeepRecall.Testing.Emulators;
using Microsoft.Extensions.AI;

namespace DeepRecall.Backends.Tests.Gemini;

public sealed class GeminiContractTests : BackendContract<GeminiEmulator>
{
    private protected override string Provider => BackendNames.Gemini;

    private protected override string BasePath => "/v1beta";

    private protected override int? CachedTokens => 40;

    private protected override int? ReasoningTokens => 5;

    private protected override IReadOnlyDictionary<string, string?> ExpectedHeaders { get; } = new Dictionary<string, string?>
    {
        ["x-goog-api-key"] = Key,
        ["Authorization"] = null,
    };

    private protected override string PathOf(string model, bool streamed) => $"/v1beta/models/{model}:{(streamed ? "streamGenerateContent" : "generateContent")}";

    private protected override string QueryOf(bool streamed) => streamed ? "?alt=sse" : string.Empty;

    private protected override string BodyOf(string model, IReadOnlyList<ChatMessage> messages, bool streamed, Sampling sampling)
    {
        var config = new JsonObject { ["maxOutputTokens"] = sampling.MaxOutputTokens };
        if (sampling.Temperature is { } temperature)
        {
            config["temperature"] = temperature;
        }

        if (sampling.TopP is { } topP)
        {
            config["topP"] = topP;
        }

        if (sampling.Seed is { } seed)
        {
            config["seed"] = seed;
        }

        var body = new JsonObject
        {
            ["contents"] = new JsonArray([.. messages.Where(message => message.Role != ChatRole.System).Select(message => new JsonObject
            {
                ["role"] = message.Role == ChatRole.Assistant ? "model" : "user",
                ["parts"] = Texts([message]),
            })]),
            ["generationConfig"] = config,
        };
        var system = messages.Where(message => message.Role == ChatRole.System).ToArray();
        if (system.Length > 0)
        {
            body["systemInstruction"] = new JsonObject { ["parts"] = Texts(system) };
        }

        return body.ToJsonString();
    }

    private static JsonArray Texts(IEnumerable<ChatMessage> messages) => new([.. messages.Select(message => new JsonObject { ["text"] = message.Text })]);
}
