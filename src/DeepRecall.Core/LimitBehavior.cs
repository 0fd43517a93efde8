namespace DeepRecall;

/// <summary>What a request comes to when a limit ends it before there is an answer.</summary>
public enum LimitBehavior
{
    /// <summary>
    /// A response with the best partial answer, or a statement that there is none, and the finish reason
    /// <see cref="Microsoft.Extensions.AI.ChatFinishReason.Length"/>; the trajectory tells which limit it was.
    /// </summary>
    ReturnPartial,

    /// <summary>A <see cref="BudgetExceededException"/>, which carries the same.</summary>
    Throw,
}
