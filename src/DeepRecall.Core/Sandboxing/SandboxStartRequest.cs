namespace DeepRecall.Sandboxing;

/// <summary>What a sandbox is asked to start: the worker's source and the argument it gets.</summary>
public sealed record SandboxStartRequest
{
    /// <summary>Gets the worker: one file of Python that needs only the standard library, for Python 3.9 or newer.</summary>
    public required string WorkerSource { get; init; }

    /// <summary>
    /// Gets the worker's single command-line argument. The worker repeats it in the first message that it writes;
    /// what comes before that message on the stream (a shell's banner, an echo) is skipped.
    /// </summary>
    public required string Nonce { get; init; }
}
