using System.Text.Json.Nodes;
using DeepRecall.Testing.Emulators.Connect;

namespace DeepRecall.Testing.Emulators.E2B;

/// <summary>A sandbox in the emulator.</summary>
internal sealed class EmulatedE2BSandbox(string id, string template, EmulatedMachine machine, IReadOnlyDictionary<string, string> metadata, bool allowInternet)
{
    public string Id => id;

    public string AccessToken { get; } = $"token-{Guid.NewGuid():N}";

    public EmulatedMachine Machine => machine;

    public IReadOnlyDictionary<string, string> Metadata => metadata;

    public DateTimeOffset StartedAt { get; set; } = TimeProvider.System.GetUtcNow();

    public DateTimeOffset EndAt { get; set; }

    public Timer? Expiry { get; set; }

    public JsonObject Describe() => new()
    {
        ["sandboxID"] = id,
        ["templateID"] = template,
        ["clientID"] = "client",
        ["startedAt"] = StartedAt.ToString("O"),
        ["endAt"] = EndAt.ToString("O"),
        ["state"] = "running",
        ["cpuCount"] = 2,
        ["memoryMB"] = 512,
        ["diskSizeMB"] = 1024,
        ["envdVersion"] = E2BEmulator.EnvdVersion,
        ["allowInternetAccess"] = allowInternet,
        ["metadata"] = new JsonObject(metadata.Select(entry => KeyValuePair.Create(entry.Key, (JsonNode?)entry.Value))),
    };
}
