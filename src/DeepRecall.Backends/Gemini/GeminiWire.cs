using System.Text.Json;
using System.Text.Json.Serialization;

namespace DeepRecall.Backends.Gemini;

// The wire types of generateContent and streamGenerateContent (ai.google.dev/api/generate-content).

internal sealed record GeminiRequest
{
    public GeminiContent? SystemInstruction { get; init; }

    public required IReadOnlyList<GeminiContent> Contents { get; init; }

    public GeminiGenerationConfig? GenerationConfig { get; init; }

    public IReadOnlyList<GeminiTool>? Tools { get; init; }

    public GeminiToolConfig? ToolConfig { get; init; }
}

internal sealed record GeminiContent(string? Role, IReadOnlyList<GeminiPart>? Parts);

internal sealed record GeminiPart
{
    public string? Text { get; init; }

    public bool? Thought { get; init; }

    public string? ThoughtSignature { get; init; }

    public GeminiBlob? InlineData { get; init; }

    public GeminiFile? FileData { get; init; }

    public GeminiFunctionCall? FunctionCall { get; init; }

    public GeminiFunctionResponse? FunctionResponse { get; init; }
}

internal sealed record GeminiBlob(string? MimeType, string? Data);

internal sealed record GeminiFile(string? MimeType, string? FileUri);

internal sealed record GeminiFunctionCall(string? Id, string? Name, JsonElement? Args);

internal sealed record GeminiFunctionResponse(string? Id, string? Name, JsonElement? Response);

internal sealed record GeminiGenerationConfig
{
    public float? Temperature { get; init; }

    public float? TopP { get; init; }

    public int? TopK { get; init; }

    public int? MaxOutputTokens { get; init; }

    public IList<string>? StopSequences { get; init; }

    public long? Seed { get; init; }

    public float? PresencePenalty { get; init; }

    public float? FrequencyPenalty { get; init; }

    public string? ResponseMimeType { get; init; }

    public JsonElement? ResponseJsonSchema { get; init; }

    public GeminiThinkingConfig? ThinkingConfig { get; init; }
}

internal sealed record GeminiThinkingConfig(int? ThinkingBudget, string? ThinkingLevel, bool? IncludeThoughts);

internal sealed record GeminiTool(IReadOnlyList<GeminiFunctionDeclaration> FunctionDeclarations);

internal sealed record GeminiFunctionDeclaration(string Name, string? Description, JsonElement? ParametersJsonSchema);

internal sealed record GeminiToolConfig(GeminiFunctionCallingConfig FunctionCallingConfig);

internal sealed record GeminiFunctionCallingConfig(string Mode, IReadOnlyList<string>? AllowedFunctionNames);

internal sealed record GeminiResponse
{
    public IReadOnlyList<GeminiCandidate>? Candidates { get; init; }

    public GeminiPromptFeedback? PromptFeedback { get; init; }

    public GeminiUsage? UsageMetadata { get; init; }

    public string? ModelVersion { get; init; }

    public string? ResponseId { get; init; }

    public GeminiError? Error { get; init; }
}

internal sealed record GeminiCandidate(GeminiContent? Content, string? FinishReason, string? FinishMessage);

internal sealed record GeminiPromptFeedback(string? BlockReason, string? BlockReasonMessage);

internal sealed record GeminiUsage(
    int? PromptTokenCount,
    int? CandidatesTokenCount,
    int? TotalTokenCount,
    int? ThoughtsTokenCount,
    int? CachedContentTokenCount,
    int? ToolUsePromptTokenCount);

internal sealed record GeminiError(int? Code, string? Message, string? Status);

internal sealed record GeminiErrorBody(GeminiError? Error);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(GeminiRequest))]
[JsonSerializable(typeof(GeminiResponse))]
[JsonSerializable(typeof(GeminiErrorBody))]
[JsonSerializable(typeof(Dictionary<string, JsonElement>))]
internal sealed partial class GeminiJson : JsonSerializerContext;
