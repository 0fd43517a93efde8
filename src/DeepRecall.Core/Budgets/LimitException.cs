using DeepRecall.Trajectory;

namespace DeepRecall.Budgets;

/// <summary>A limit does not allow what was asked for. A run ends with it; in the REPL it is an <c>Error:</c> text.</summary>
internal sealed class LimitException(StopReason reason, string message) : Exception(message)
{
    public StopReason Reason { get; } = reason;
}
