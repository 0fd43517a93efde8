using System.Text.Json.Serialization;

namespace DeepRecall.Sandboxes.Daytona;

// What goes over the wire: the part of Daytona's control API and of its toolbox, the API in a sandbox, that is used here.

internal sealed record CreateSandbox
{
    public required string Name { get; init; }

    public string? Snapshot { get; init; }

    public BuildInfo? BuildInfo { get; init; }

    public string? Target { get; init; }

    public required IReadOnlyDictionary<string, string> Labels { get; init; }

    public IReadOnlyDictionary<string, string>? Env { get; init; }

    public int? Cpu { get; init; }

    public int? Memory { get; init; }

    public int? Disk { get; init; }

    public bool NetworkBlockAll { get; init; }

    public int AutoStopInterval { get; init; }

    /// <summary>0: deleted when it is stopped. None: never by itself.</summary>
    public int? AutoDeleteInterval { get; init; }
}

internal sealed record BuildInfo(string DockerfileContent);

internal sealed record SandboxDto(string Id, string? Name, string? State, string? ErrorReason, string? ToolboxProxyUrl, DateTimeOffset? CreatedAt, IReadOnlyDictionary<string, string>? Labels = null);

internal sealed record SandboxPage(IReadOnlyList<SandboxDto>? Items, string? NextCursor);

internal sealed record ToolboxUrl(string? Url);

internal sealed record CreatePty(string Id, int Cols, int Rows, bool LazyStart);

internal sealed record ExecuteCommand(string Command, int Timeout);

/// <summary>A text message of a terminal's connection, and the reason with which such a connection is closed.</summary>
internal sealed record PtyControl(string? Type, string? Status, string? Error, int? ExitCode, string? ExitReason);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(CreateSandbox))]
[JsonSerializable(typeof(SandboxDto))]
[JsonSerializable(typeof(SandboxPage))]
[JsonSerializable(typeof(ToolboxUrl))]
[JsonSerializable(typeof(CreatePty))]
[JsonSerializable(typeof(ExecuteCommand))]
[JsonSerializable(typeof(PtyControl))]
[JsonSerializable(typeof(Dictionary<string, string>), TypeInfoPropertyName = "Labels")]
internal sealed partial class DaytonaJson : JsonSerializerContext;
