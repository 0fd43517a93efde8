using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using DeepRecall.Testing.Emulators.Connect;

namespace DeepRecall.Testing.Emulators.Prime;

/// <summary>A sandbox in the emulator.</summary>
internal sealed class EmulatedPrimeSandbox(string id, JsonNode request, EmulatedMachine machine)
{
    public string Id => id;

    public EmulatedMachine Machine => machine;

    public bool IsVm { get; } = (bool?)request["vm"] ?? true;

    public IReadOnlyList<string> Labels { get; } = [.. (request["labels"]?.AsArray() ?? []).Select(label => (string)label!)];

    public DateTimeOffset CreatedAt { get; set; } = TimeProvider.System.GetUtcNow();

    public string Status { get; set; } = "PENDING";

    public string? Error { get; set; }

    /// <summary>How often it is still looked at before it runs.</summary>
    public int PollsLeft { get; set; }

    /// <summary>The tokens that the gateway takes.</summary>
    public ConcurrentDictionary<string, DateTimeOffset> Tokens { get; } = new(StringComparer.Ordinal);

    /// <summary>Inputs that were written, by their ids.</summary>
    public ConcurrentDictionary<string, bool> Inputs { get; } = new(StringComparer.Ordinal);

    public Timer? Expiry { get; set; }

    public JsonObject Describe() => new()
    {
        ["id"] = id,
        ["name"] = (string?)request["name"],
        ["dockerImage"] = (string?)request["docker_image"],
        ["cpuCores"] = (double?)request["cpu_cores"],
        ["memoryGB"] = (double?)request["memory_gb"],
        ["diskSizeGB"] = (double?)request["disk_size_gb"],
        ["diskMountPath"] = "/sandbox-workspace",
        ["gpuCount"] = 0,
        ["vm"] = IsVm,
        ["status"] = Status,
        ["timeoutMinutes"] = (int?)request["timeout_minutes"],
        ["labels"] = new JsonArray([.. Labels.Select(label => (JsonNode)label)]),
        ["createdAt"] = CreatedAt.ToString("O"),
        ["updatedAt"] = CreatedAt.ToString("O"),
        ["startedAt"] = null,
        ["exitCode"] = null,
        ["errorType"] = Error is null ? null : "SANDBOX_ERROR",
        ["errorMessage"] = Error,
    };
}
