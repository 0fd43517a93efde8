namespace DeepRecall.Repl;

/// <summary>What a REPL is given when it starts, and again when it has to start anew.</summary>
internal sealed record ReplSettings
{
    /// <summary>The longest message either side accepts. Larger values go by file.</summary>
    public const int MaxMessageBytes = 64 * 1024 * 1024;

    public required int OutputLimit { get; init; }

    public required bool AnswerJson { get; init; }

    public required TimeSpan CellTimeout { get; init; }

    public required TimeSpan InterruptGrace { get; init; }

    /// <summary>How long an environment has to send an interrupt; one that takes longer counts as sent, and a cell that goes on is killed.</summary>
    public TimeSpan InterruptLimit { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>How long a cell has to stop when the request's time is over, if that is less than <see cref="InterruptGrace"/>.</summary>
    public TimeSpan StopGrace { get; init; } = TimeSpan.MaxValue;

    public required TimeSpan StartTimeout { get; init; }

    /// <summary>The query functions that the REPL has.</summary>
    public required IReadOnlyList<string> Functions { get; init; }

    /// <summary>The caller's tools, as Python functions.</summary>
    public required IReadOnlyList<ToolDeclaration> Tools { get; init; }
}
