namespace DeepRecall.Trajectory;

/// <summary>Something that happened in a run, told while it runs.</summary>
/// <param name="RunId">The run it happened in: the root's, or a child's.</param>
/// <param name="Depth">That run's depth, 0 for the root.</param>
/// <remarks>
/// An event travels in a streamed update as an <see cref="Microsoft.Extensions.AI.AIContent"/> whose
/// <see cref="Microsoft.Extensions.AI.AIContent.RawRepresentation"/> it is; <see cref="TrajectoryExtensions.GetDeepRecallEvents"/> finds it.
/// The plain carrier type passes through every cache, log and adapter that knows nothing of RLMs.
/// </remarks>
public abstract record DeepRecallEvent(string RunId, int Depth);

/// <summary>A turn started: the model is being asked.</summary>
/// <param name="RunId">The run it happened in.</param>
/// <param name="Depth">That run's depth.</param>
/// <param name="Turn">The turn's number, from 1.</param>
/// <param name="MaxTurns">How many turns the run may take.</param>
public sealed record TurnStartedEvent(string RunId, int Depth, int Turn, int MaxTurns) : DeepRecallEvent(RunId, Depth);

/// <summary>A cell started.</summary>
/// <param name="RunId">The run it happened in.</param>
/// <param name="Depth">That run's depth.</param>
/// <param name="Cell">The cell's number within the run, from 1.</param>
/// <param name="Code">Its code.</param>
public sealed record CellStartedEvent(string RunId, int Depth, int Cell, string Code) : DeepRecallEvent(RunId, Depth);

/// <summary>A cell that is still running printed something. Short cells and capped output have no such event; <see cref="CellCompletedEvent"/> has it all.</summary>
/// <param name="RunId">The run it happened in.</param>
/// <param name="Depth">That run's depth.</param>
/// <param name="Cell">The cell's number.</param>
/// <param name="Text">What was printed since the last such event.</param>
public sealed record CellOutputEvent(string RunId, int Depth, int Cell, string Text) : DeepRecallEvent(RunId, Depth);

/// <summary>A cell ended.</summary>
/// <param name="RunId">The run it happened in.</param>
/// <param name="Depth">That run's depth.</param>
/// <param name="Cell">What it did.</param>
public sealed record CellCompletedEvent(string RunId, int Depth, CellRecord Cell) : DeepRecallEvent(RunId, Depth);

/// <summary>A sub-call started.</summary>
/// <param name="RunId">The run it happened in.</param>
/// <param name="Depth">That run's depth.</param>
/// <param name="Number">The call's number within the request.</param>
/// <param name="Function">The function that made it.</param>
/// <param name="Model">The sub-client that is asked, or <see langword="null"/> for a tool.</param>
/// <param name="Prompt">The prompt, at most its first 4,000 characters.</param>
public sealed record SubcallStartedEvent(string RunId, int Depth, int Number, string Function, string? Model, string Prompt)
    : DeepRecallEvent(RunId, Depth);

/// <summary>A sub-call ended.</summary>
/// <param name="RunId">The run it happened in.</param>
/// <param name="Depth">That run's depth.</param>
/// <param name="Subcall">What it did.</param>
public sealed record SubcallCompletedEvent(string RunId, int Depth, SubcallRecord Subcall) : DeepRecallEvent(RunId, Depth);

/// <summary>A run's conversation was summarised, because it came near the end of its model's window.</summary>
/// <param name="RunId">The run it happened in.</param>
/// <param name="Depth">That run's depth.</param>
/// <param name="Compaction">What was done.</param>
public sealed record CompactedEvent(string RunId, int Depth, CompactionRecord Compaction) : DeepRecallEvent(RunId, Depth);

/// <summary>A run has its answer.</summary>
/// <param name="RunId">The run it happened in.</param>
/// <param name="Depth">That run's depth.</param>
/// <param name="Answer">The answer.</param>
/// <param name="StopReason">Why the run ended.</param>
public sealed record AnswerEvent(string RunId, int Depth, string Answer, StopReason StopReason) : DeepRecallEvent(RunId, Depth);
