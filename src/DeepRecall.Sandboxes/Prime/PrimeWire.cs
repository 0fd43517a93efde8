using System.Text.Json.Serialization;

namespace DeepRecall.Sandboxes.Prime;

// The messages of Prime Intellect's sandbox API, as far as they are used here: PrimeIntellect-ai/prime, packages/prime-sandboxes. Requests
// are in snake case, sandboxes in answers in camel case, and what the gateway says in snake case again.

internal sealed record PrimeCreate(
    string Name,
    string DockerImage,
    string? StartCommand,
    double CpuCores,
    double MemoryGb,
    double DiskSizeGb,
    bool Vm,
    bool? NetworkAccess,
    IReadOnlyList<string>? NetworkAllowlist,
    IReadOnlyList<string>? NetworkDenylist,
    int TimeoutMinutes,
    IReadOnlyDictionary<string, string> EnvironmentVars,
    IReadOnlyList<string> Labels,
    string? TeamId,
    string IdempotencyKey);

internal sealed record PrimeAuth(string GatewayUrl, string UserNs, string JobId, string Token, DateTimeOffset? ExpiresAt)
{
    /// <summary>Without the token.</summary>
    public override string ToString() => $"{nameof(PrimeAuth)} {{ {nameof(GatewayUrl)} = {GatewayUrl}, {nameof(ExpiresAt)} = {ExpiresAt} }}";
}

internal sealed record PrimeExec(string Command, string SandboxId, int Timeout);

internal sealed record PrimeExecResult(string? Stdout, string? Stderr, int ExitCode);

internal sealed record PrimeUploaded(string? Path);

internal sealed record PrimeInfo(string Id, string? Status, DateTimeOffset? CreatedAt, IReadOnlyList<string>? Labels, string? ErrorType, string? ErrorMessage);

internal sealed record PrimePage(IReadOnlyList<PrimeInfo>? Sandboxes, bool HasNext);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(PrimeCreate))]
[JsonSerializable(typeof(PrimeAuth))]
[JsonSerializable(typeof(PrimeExec))]
[JsonSerializable(typeof(PrimeExecResult))]
[JsonSerializable(typeof(PrimeUploaded))]
internal sealed partial class PrimeJson : JsonSerializerContext;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(PrimeInfo))]
[JsonSerializable(typeof(PrimePage))]
internal sealed partial class PrimeInfoJson : JsonSerializerContext;
