using System.Text.Json.Serialization;

namespace DeepRecall.Sandboxes.Connect;

/// <summary>An error as the protocol writes it, with either codec.</summary>
internal sealed record ConnectError(string? Code, string? Message);

/// <summary>The last envelope of a stream.</summary>
internal sealed record ConnectEndOfStream(ConnectError? Error);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ConnectError))]
[JsonSerializable(typeof(ConnectEndOfStream))]
internal sealed partial class ConnectJson : JsonSerializerContext;
