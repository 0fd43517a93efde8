using System.Text.Json;
using System.Text.Json.Serialization;

namespace WebApi;

/// <summary>What is asked.</summary>
/// <param name="Question">The question.</param>
/// <param name="Context">The text that it is about.</param>
internal sealed record AskRequest(string Question, string? Context);

/// <summary>What is wrong with a request.</summary>
/// <param name="Error">The problem.</param>
internal sealed record AskProblem(string Error);

/// <summary>Something that happened on the way to the answer, or the answer.</summary>
internal sealed record Step
{
    /// <summary>Gets the turn in which it happened.</summary>
    public int? Turn { get; init; }

    /// <summary>Gets the code of a cell that begins.</summary>
    public string? Code { get; init; }

    /// <summary>Gets the output of a cell that ended.</summary>
    public string? Output { get; init; }

    /// <summary>Gets a piece of what the model says on the way, or of the answer.</summary>
    public string? Text { get; init; }

    /// <summary>Gets why the run ended.</summary>
    public string? StopReason { get; init; }

    /// <summary>Gets how many tokens all model calls took.</summary>
    public long? Tokens { get; init; }
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(AskRequest))]
[JsonSerializable(typeof(AskProblem))]
[JsonSerializable(typeof(Step))]
internal sealed partial class ApiJsonContext : JsonSerializerContext;
