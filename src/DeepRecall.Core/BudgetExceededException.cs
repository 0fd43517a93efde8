using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall;

/// <summary>A limit ended a request, and <see cref="DeepRecallOptions.OnLimit"/> is <see cref="LimitBehavior.Throw"/>. What there is of an answer is here.</summary>
public sealed class BudgetExceededException : Exception
{
    internal BudgetExceededException(string message, RlmTrajectory trajectory, string? partialAnswer)
        : base(message)
    {
        Trajectory = trajectory;
        PartialAnswer = partialAnswer;
        Data[TrajectoryExtensions.Key] = trajectory;
    }

    /// <summary>Gets which limit it was.</summary>
    public StopReason Limit => Trajectory.StopReason;

    /// <summary>Gets the best partial answer, or <see langword="null"/> when nothing was found.</summary>
    public string? PartialAnswer { get; }

    /// <summary>Gets the usage of all model calls of the request.</summary>
    public UsageDetails Usage => Trajectory.Usage;

    /// <summary>Gets everything that happened.</summary>
    public RlmTrajectory Trajectory { get; }
}
