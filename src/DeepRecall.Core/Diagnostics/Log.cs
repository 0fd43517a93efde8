using Microsoft.Extensions.Logging;

namespace DeepRecall.Diagnostics;

/// <summary>Every message that the engine logs. Ids are stable; what a user or a model wrote is logged at Trace only.</summary>
internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Debug, "RLM run {RunId} started at depth {Depth} in environment {Environment}.")]
    public static partial void RunStarted(ILogger logger, string runId, int depth, string environment);

    [LoggerMessage(2, LogLevel.Debug, "RLM run {RunId} ended after {Turns} turns and {Milliseconds:0} ms: {StopReason}.")]
    public static partial void RunEnded(ILogger logger, string runId, int turns, double milliseconds, Trajectory.StopReason stopReason);

    [LoggerMessage(3, LogLevel.Debug, "REPL started in environment {Environment} within {Milliseconds:0.0} ms.")]
    public static partial void ReplStarted(ILogger logger, string environment, double milliseconds);

    [LoggerMessage(4, LogLevel.Warning, "The REPL in environment {Environment} died: {End}. A fresh one is started.")]
    public static partial void ReplDied(ILogger logger, string environment, string end);

    [LoggerMessage(5, LogLevel.Trace, "Run {RunId}, turn {Turn}: the model replied {Reply}")]
    public static partial void Reply(ILogger logger, string runId, int turn, string reply);

    [LoggerMessage(6, LogLevel.Trace, "Run {RunId}, cell {Cell} ({Status}) printed {Output}")]
    public static partial void CellEnded(ILogger logger, string runId, int cell, Trajectory.CellStatus status, string output);

    [LoggerMessage(7, LogLevel.Debug, "Run {RunId}: sub-call {Number} ({Function}) failed: {ErrorType}.")]
    public static partial void SubcallFailed(ILogger logger, string runId, int number, string function, string errorType);

    [LoggerMessage(8, LogLevel.Information, "Run {RunId} was ended by a limit, {Limit}, after {Turns} turns.")]
    public static partial void LimitHit(ILogger logger, string runId, Trajectory.StopReason limit, int turns);

    [LoggerMessage(9, LogLevel.Warning, "The model could not be asked for an answer at the end of a run: {ErrorType}.")]
    public static partial void ClosingFailed(ILogger logger, string errorType);

    [LoggerMessage(10, LogLevel.Warning, "The history could not be put into the REPL: {ErrorType}.")]
    public static partial void HistoryNotShown(ILogger logger, string errorType);

    [LoggerMessage(11, LogLevel.Warning, "The REPL of a conversation did not end as it should: {ErrorType}.")]
    public static partial void SessionNotEnded(ILogger logger, string errorType);

    [LoggerMessage(20, LogLevel.Warning, "The code in environment {Environment} is not isolated in full: {Isolation}.")]
    public static partial void IsolationIncomplete(ILogger logger, string environment, Sandboxing.SandboxIsolation isolation);

    [LoggerMessage(21, LogLevel.Warning, "The pool of environment {Environment} could not start an idle process.")]
    public static partial void PoolNotFilled(ILogger logger, string environment, Exception error);

    [LoggerMessage(22, LogLevel.Warning, "The pool of environment {Environment} could not end an idle process.")]
    public static partial void PoolProcessNotEnded(ILogger logger, string environment, Exception error);
}
