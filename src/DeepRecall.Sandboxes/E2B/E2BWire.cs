using System.Text.Json.Serialization;

namespace DeepRecall.Sandboxes.E2B;

// The messages of E2B's control API and of envd's process service, as far as they are used here: reference e2b-dev/infra, spec/openapi.yml
// and packages/envd/spec/process/process.proto.

internal sealed record E2BCreate(
    [property: JsonPropertyName("templateID")] string TemplateId,
    int Timeout,
    IReadOnlyDictionary<string, string> Metadata,
    IReadOnlyDictionary<string, string> EnvVars,
    [property: JsonPropertyName("allow_internet_access")] bool AllowInternetAccess,
    bool? Secure = null);

internal sealed record E2BCreated(
    [property: JsonPropertyName("sandboxID")] string SandboxId,
    string? EnvdVersion,
    string? EnvdAccessToken,
    string? Domain)
{
    /// <summary>Without the token.</summary>
    public override string ToString() => $"{nameof(E2BCreated)} {{ {nameof(SandboxId)} = {SandboxId} }}";
}

internal sealed record E2BListed(
    [property: JsonPropertyName("sandboxID")] string SandboxId,
    DateTimeOffset? StartedAt,
    IReadOnlyDictionary<string, string>? Metadata);

internal sealed record E2BTimeout(int Timeout);

internal sealed record E2BFile(string? Path);

internal sealed record EnvdProcessConfig(string Cmd, IReadOnlyList<string> Args, string? Cwd = null);

internal sealed record EnvdStart(EnvdProcessConfig Process, bool Stdin, string? Tag = null);

internal sealed record EnvdSelector(uint? Pid = null, string? Tag = null);

internal sealed record EnvdConnect(EnvdSelector Process);

internal sealed record EnvdSendInput(EnvdSelector Process, EnvdInput Input);

internal sealed record EnvdInput(ReadOnlyMemory<byte> Stdin);

internal sealed record EnvdEmpty;

internal sealed record EnvdResponse(EnvdEvent? Event);

internal sealed record EnvdEvent(EnvdStarted? Start, EnvdData? Data, EnvdEnd? End);

internal sealed record EnvdStarted(uint Pid);

internal sealed record EnvdData(byte[]? Stdout, byte[]? Stderr);

internal sealed record EnvdEnd(int ExitCode, bool Exited, string? Status, string? Error);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    NumberHandling = JsonNumberHandling.AllowReadingFromString)]
[JsonSerializable(typeof(E2BCreate))]
[JsonSerializable(typeof(E2BCreated))]
[JsonSerializable(typeof(IReadOnlyList<E2BListed>))]
[JsonSerializable(typeof(E2BTimeout))]
[JsonSerializable(typeof(IReadOnlyList<E2BFile>))]
[JsonSerializable(typeof(EnvdStart))]
[JsonSerializable(typeof(EnvdConnect))]
[JsonSerializable(typeof(EnvdSendInput))]
[JsonSerializable(typeof(EnvdEmpty))]
[JsonSerializable(typeof(EnvdResponse))]
internal sealed partial class E2BJson : JsonSerializerContext;
