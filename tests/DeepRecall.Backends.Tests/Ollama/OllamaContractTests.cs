using System.Text.Json.Nodes;
using DeepRecall.Backends.Tests.Contract;
using DeepRecall.Testing.Emulators;
using Microsoft.Extensions.AI;

namespace DeepRecall.Backends.Tests.Ollama;

public sealed class OllamaContractTests : BackendContract<OllamaEmulator>
{
    private protected override string Provider => BackendNames.Ollama;

    private protected override IReadOnlyDictionary<string, string?> ExpectedHeaders { get; } = new Dictionary<string, string?> { ["Authorization"] = $"Bearer {Key}" };

    private protected override bool HasIds => false;

    private protected override string PathOf(string model, bool streamed) => "/api/chat";

    private protected override string QueryOf(bool streamed) => string.Empty;

    private protected override string BodyOf(string model, IReadOnlyList<ChatMessage> messages, bool streamed, Sampling sampling)
    {
        var options = new JsonObject { ["num_predict"] = sampling.MaxOutputTokens };
        if (sampling.Temperature is { } temperature)
        {
            options["temperature"] = temperature;
        }

        if (sampling.TopP is { } topP)
        {
            options["top_p"] = topP;
        }

        if (sampling.Seed is { } seed)
        {
            options["seed"] = seed;
        }

        return new JsonObject
        {
            ["model"] = model,
            ["messages"] = new JsonArray([.. messages.Select(message => new JsonObject { ["role"] = message.Role.Value, ["content"] = message.Text })]),
            ["options"] = options,
            ["stream"] = streamed,

            // A slip of the library, which servers ignore.
            ["CustomHeaders"] = new JsonObject(),
        }.ToJsonString();
    }
}
