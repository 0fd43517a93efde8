namespace DeepRecall.Sandboxing;

/// <summary>A sandbox could not be started, or could not be used any more.</summary>
public sealed class SandboxException : Exception
{
    /// <summary>Initializes a new instance of the <see cref="SandboxException"/> class.</summary>
    /// <param name="message">What failed, and what to do about it.</param>
    /// <param name="innerException">The cause, if there is one.</param>
    public SandboxException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }

    /// <summary>Gets why the sandbox failed, as far as the environment tells.</summary>
    public SandboxErrorKind Kind { get; init; }
}
