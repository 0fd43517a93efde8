using System.Text.Json.Serialization;
using DeepRecall.Sandboxing;
using Microsoft.Extensions.AI;

namespace DeepRecall.Trajectory;

/// <summary>What a run did, from its question to its answer: an immutable record, also of a run that failed.</summary>
public sealed record RlmTrajectory
{
    /// <summary>Gets the run's id, unique among all runs.</summary>
    public required string RunId { get; init; }

    /// <summary>Gets the run's depth: 0 for the root, 1 for its children, and so on.</summary>
    public required int Depth { get; init; }

    /// <summary>Gets the question, at most its first 4,000 characters.</summary>
    public required string Question { get; init; }

    /// <summary>Gets the environment that ran the code, for example <c>local</c>.</summary>
    public required string Environment { get; init; }

    /// <summary>Gets what isolated the code from the host; <see langword="null"/> when the environment does not tell.</summary>
    public SandboxIsolation? Isolation { get; init; }

    /// <summary>Gets the contexts as the REPL had them.</summary>
    public required IReadOnlyList<ContextRecord> Contexts { get; init; }

    /// <summary>Gets the turns, in order. A reply asked for after the last turn is one more.</summary>
    public required IReadOnlyList<TurnRecord> Turns { get; init; }

    /// <summary>Gets how often, and when, the conversation was summarised to fit the model's window.</summary>
    public IReadOnlyList<CompactionRecord> Compactions { get; init; } = [];

    /// <summary>Gets the answer, or <see langword="null"/> when there is none.</summary>
    public string? Answer { get; init; }

    /// <summary>Gets <c>answer["content"]</c> as it stood last, for a run that ended without an answer; <see langword="null"/> if nothing was written there.</summary>
    public string? PartialAnswer { get; init; }

    /// <summary>Gets why the run ended.</summary>
    public required StopReason StopReason { get; init; }

    /// <summary>Gets what was left and what was asked for when a limit ended the run; <see langword="null"/> when none did.</summary>
    public string? StopDetail { get; init; }

    /// <summary>Gets the tokens of every model call below this run, its own and those of sub-calls at any depth.</summary>
    public required UsageDetails Usage { get; init; }

    /// <summary>Gets how many model calls were answered below this run, its own and those of sub-calls at any depth.</summary>
    public required int ModelCalls { get; init; }

    /// <summary>Gets how long the run took.</summary>
    public required TimeSpan Duration { get; init; }

    /// <summary>Gets what a reader should know, for example that a context had bytes that are not UTF-8.</summary>
    public required IReadOnlyList<string> Notes { get; init; }
}

/// <summary>Why a run ended.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<StopReason>))]
public enum StopReason
{
    /// <summary>The model answered.</summary>
    Answered,

    /// <summary>All turns were used; the answer is what the model said when it was asked for one then.</summary>
    MaxIterations,

    /// <summary>The caller cancelled the request.</summary>
    Cancelled,

    /// <summary>An exception ended the run.</summary>
    Failed,

    /// <summary>The tokens of the request (<see cref="DeepRecallOptions.MaxTokens"/>) did not allow the next call.</summary>
    MaxTokens,

    /// <summary>The money of the request (<see cref="DeepRecallOptions.MaxCostUsd"/>) did not allow the next call.</summary>
    MaxCost,

    /// <summary>The time of the request (<see cref="DeepRecallOptions.MaxDuration"/>) was over.</summary>
    MaxDuration,

    /// <summary>Too many turns in a row failed (<see cref="DeepRecallOptions.MaxConsecutiveErrors"/>).</summary>
    MaxConsecutiveErrors,

    /// <summary>The answer was not the JSON that was asked for, also after the repairs (<see cref="DeepRecallOptions.MaxAnswerRepairs"/>).</summary>
    MaxAnswerRepairs,
}

/// <summary>A summary that took the place of a run's turns.</summary>
/// <param name="BeforeTurn">The turn that came next.</param>
/// <param name="TokensBefore">About how many tokens of its window the model had used.</param>
/// <param name="Summary">The summary.</param>
/// <param name="Usage">What it took to write it.</param>
/// <param name="Duration">How long that took.</param>
public sealed record CompactionRecord(int BeforeTurn, long TokensBefore, string Summary, UsageDetails? Usage, TimeSpan Duration);

/// <summary>A context as the REPL had it.</summary>
/// <param name="Variable">The variable's name, for example <c>context_0</c>.</param>
/// <param name="Name">The name that the caller gave it, or the file's.</param>
/// <param name="Type">The Python type.</param>
/// <param name="Length">What Python's <c>len</c> says of it.</param>
/// <param name="Characters">How many characters it was sent as.</param>
public sealed record ContextRecord(string Variable, string? Name, string Type, long Length, long Characters);

/// <summary>One reply of the model, and what the REPL made of it.</summary>
public sealed record TurnRecord
{
    /// <summary>Gets the turn's number, from 1.</summary>
    public required int Number { get; init; }

    /// <summary>Gets the reply, code and all, without the model's own reasoning.</summary>
    public required string Reply { get; init; }

    /// <summary>Gets the cells that ran, in order.</summary>
    public required IReadOnlyList<CellRecord> Cells { get; init; }

    /// <summary>Gets what the model was told after the turn; <see langword="null"/> when the turn brought the answer.</summary>
    public string? Feedback { get; init; }

    /// <summary>Gets the tokens of this reply.</summary>
    public UsageDetails? Usage { get; init; }

    /// <summary>Gets why the model stopped, where the provider tells.</summary>
    public string? FinishReason { get; init; }

    /// <summary>Gets how long the model took.</summary>
    public required TimeSpan ModelDuration { get; init; }

    /// <summary>Gets how long the turn took, cells included.</summary>
    public required TimeSpan Duration { get; init; }
}

/// <summary>How a cell ended.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<CellStatus>))]
public enum CellStatus
{
    /// <summary>It ran to its end.</summary>
    Ok,

    /// <summary>It raised an exception; what it assigned before stays.</summary>
    Error,

    /// <summary>It ran over its time and was interrupted; the REPL's variables stay.</summary>
    Interrupted,

    /// <summary>The REPL died under it; the variables are lost, and a fresh REPL was started.</summary>
    Died,
}

/// <summary>One block of code and what came of it.</summary>
public sealed record CellRecord
{
    /// <summary>Gets the cell's number within the run, from 1.</summary>
    public required int Number { get; init; }

    /// <summary>Gets the code.</summary>
    public required string Code { get; init; }

    /// <summary>Gets how the cell ended.</summary>
    public required CellStatus Status { get; init; }

    /// <summary>Gets what it printed, capped as the model was shown it.</summary>
    public required string Output { get; init; }

    /// <summary>Gets how many characters of the output were dropped.</summary>
    public long DroppedCharacters { get; init; }

    /// <summary>Gets the traceback, or why the REPL died; <see langword="null"/> for a cell that ran to its end.</summary>
    public string? Error { get; init; }

    /// <summary>Gets the type of the Python exception, if one ended the cell.</summary>
    public string? ErrorType { get; init; }

    /// <summary>Gets the names of the REPL's variables after the cell.</summary>
    public required IReadOnlyList<string> Variables { get; init; }

    /// <summary>Gets the sub-calls that the cell made, in the order in which they were made.</summary>
    public required IReadOnlyList<SubcallRecord> Subcalls { get; init; }

    /// <summary>Gets how long the cell took.</summary>
    public required TimeSpan Duration { get; init; }

    /// <summary>Gets how much of that it waited for the host.</summary>
    public required TimeSpan WaitDuration { get; init; }
}

/// <summary>One call of a model, of a child run, or of a tool, from code in the REPL.</summary>
public sealed record SubcallRecord
{
    /// <summary>Gets the call's number within the request, over all depths, from 1.</summary>
    public required int Number { get; init; }

    /// <summary>Gets the function that made it: <c>llm_query</c>, <c>rlm_query</c>, their batched forms, or a tool's name.</summary>
    public required string Function { get; init; }

    /// <summary>Gets the depth of the REPL that made it.</summary>
    public required int Depth { get; init; }

    /// <summary>Gets the name of the sub-client that was asked; <see langword="null"/> for a tool.</summary>
    public string? Model { get; init; }

    /// <summary>Gets the prompt, or a tool's arguments as JSON, at most the first 4,000 characters.</summary>
    public required string Prompt { get; init; }

    /// <summary>Gets the prompt's length in characters.</summary>
    public required long PromptLength { get; init; }

    /// <summary>Gets what came back, at most the first 4,000 characters.</summary>
    public required string Response { get; init; }

    /// <summary>Gets the response's length in characters.</summary>
    public required long ResponseLength { get; init; }

    /// <summary>Gets a value indicating whether the call failed; <see cref="Response"/> then says why.</summary>
    public bool IsError { get; init; }

    /// <summary>Gets the tokens of the call; for a child run those of its whole tree.</summary>
    public UsageDetails? Usage { get; init; }

    /// <summary>Gets how long it took, its wait for a free place included.</summary>
    public required TimeSpan Duration { get; init; }

    /// <summary>Gets the child's own trajectory, when the call ran one.</summary>
    public RlmTrajectory? Child { get; init; }
}
