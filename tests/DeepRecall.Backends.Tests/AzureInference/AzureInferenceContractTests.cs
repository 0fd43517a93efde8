using System.Text.Json.Nodes;
using DeepRecall.Backends.Tests.Contract;
using DeepRecall.Testing.Emulators;
using Microsoft.Extensions.AI;

namespace DeepRecall.Backends.Tests.AzureInference;

public sealed class AzureInferenceContractTests : BackendContract<AzureInferenceEmulator>
{
    private protected override string Provider => BackendNames.AzureInference;

    private protected override string BasePath => "/models";

    private protected override IReadOnlyDictionary<string, string?> ExpectedHeaders { get; } = new Dictionary<string, string?> { ["api-key"] = Key };

    private protected override string PathOf(string model, bool streamed) => "/models/chat/completions";

    private protected override string QueryOf(bool streamed) => "?api-version=2024-05-01-preview";

    private protected override string BodyOf(string model, IReadOnlyList<ChatMessage> messages, bool streamed, Sampling sampling)
    {
        var body = new JsonObject
        {
            ["model"] = model,
            ["messages"] = new JsonArray([.. messages.Select(message => new JsonObject { ["role"] = message.Role.Value, ["content"] = message.Text })]),
            ["max_tokens"] = sampling.MaxOutputTokens,
        };
        if (sampling.Temperature is { } temperature)
        {
            body["temperature"] = temperature;
        }

        if (sampling.TopP is { } topP)
        {
            body["top_p"] = topP;
        }

        if (sampling.Seed is { } seed)
        {
            body["seed"] = seed;
        }

        if (streamed)
        {
            body["stream"] = true;
        }

        return body.ToJsonString();
    }
}
