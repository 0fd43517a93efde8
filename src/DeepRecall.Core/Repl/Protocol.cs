using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace DeepRecall.Repl;

// The messages of the REPL bridge: JSON-RPC 2.0 (jsonrpc.org/specification), one message per line, in UTF-8.
// worker.py is the other half of this file.

internal sealed record ReadyParams(string Nonce, int Pid, string Python);

internal sealed record InitializeParams(
    int OutputLimit,
    int MaxMessageBytes,
    bool AnswerJson,
    IReadOnlyList<string> Functions,
    IReadOnlyList<ToolDeclaration> Tools);

internal sealed record ToolDeclaration(string Name, string? Description, IReadOnlyList<ToolParameter> Parameters);

internal sealed record ToolParameter(string Name, string? Type, bool Required, JsonElement? Default);

/// <summary>A value for the REPL, inline (<paramref name="Text"/>) or as an uploaded file (<paramref name="Path"/>).</summary>
internal sealed record ValueParams(
    string Format,
    int? Index = null,
    string? Name = null,
    string? Text = null,
    string? Path = null,
    long? Bytes = null);

internal sealed record ValueReport(string Type, long Length, long Characters, long Replaced);

internal sealed record ExecuteParams(int Cell, string Code);

internal sealed record ExecuteResult(
    string Status,
    string Output,
    long Dropped,
    CellError? Error,
    IReadOnlyList<string> Variables,
    bool Ready,
    string? Content,
    string? Note);

internal sealed record CellError(string Type, string Text);

/// <summary>A part of what a cell prints; <paramref name="Part"/> counts from 1 in each cell, so that a part that comes again is known.</summary>
internal sealed record OutputParams(int Cell, int Part, string Text);

internal sealed record CallParams(string Name, JsonElement Arguments);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    MaxDepth = MaxDepth)]
[JsonSerializable(typeof(ReadyParams))]
[JsonSerializable(typeof(InitializeParams))]
[JsonSerializable(typeof(ValueParams))]
[JsonSerializable(typeof(ValueReport))]
[JsonSerializable(typeof(ExecuteParams))]
[JsonSerializable(typeof(ExecuteResult))]
[JsonSerializable(typeof(OutputParams))]
[JsonSerializable(typeof(CallParams))]
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(JsonElement))]
internal sealed partial class ProtocolJson : JsonSerializerContext
{
    /// <summary>Python's own limit for nested values is near this one.</summary>
    public const int MaxDepth = 1000;

    public static JsonWriterOptions WriterOptions { get; } = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        MaxDepth = MaxDepth,
        SkipValidation = true,
    };
}
