using DeepRecall.Trajectory;

namespace DeepRecall.Repl;

/// <summary>What a cell left behind.</summary>
internal sealed record CellResult
{
    public required CellStatus Status { get; init; }

    public required string Output { get; init; }

    public long Dropped { get; init; }

    public string? ErrorType { get; init; }

    public string? Error { get; init; }

    public IReadOnlyList<string> Variables { get; init; } = [];

    public required TimeSpan Duration { get; init; }

    public required TimeSpan Waited { get; init; }

    /// <summary>Whether <c>answer["ready"]</c> is set at the end of the cell.</summary>
    public bool Ready { get; init; }

    /// <summary><c>answer["content"]</c> as text; the answer when <see cref="Ready"/>, otherwise what there is of it.</summary>
    public string? Content { get; init; }

    /// <summary>What the worker says to the author of the cell beside its output.</summary>
    public string? Note { get; init; }
}
