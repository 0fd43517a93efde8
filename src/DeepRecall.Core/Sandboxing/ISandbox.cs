namespace DeepRecall.Sandboxing;

/// <summary>A REPL environment: a place where Python runs, apart from the host.</summary>
/// <remarks>
/// An environment does one thing, it starts a process with a byte-exact pair of streams. Everything else, the REPL, its
/// protocol, sub-calls and tools, travels over that pair, so that each environment has every feature.
/// Implementations are thread-safe: many requests start processes at the same time.
/// </remarks>
public interface ISandbox
{
    /// <summary>Gets the environment's name as it stands in configuration and on a trajectory, for example <c>local</c>.</summary>
    string Name { get; }

    /// <summary>Gets what the root model is told about the environment, as a sentence: which packages are there, and what is not allowed.</summary>
    string Description { get; }

    /// <summary>Starts a worker process.</summary>
    /// <param name="request">What to start.</param>
    /// <param name="cancellationToken">Ends the start; what was half started is ended with it.</param>
    /// <returns>The running process; whoever started it disposes it.</returns>
    /// <exception cref="SandboxException">The process could not be started.</exception>
    Task<ISandboxProcess> StartAsync(SandboxStartRequest request, CancellationToken cancellationToken);

    /// <summary>Gets how many idle processes a <see cref="SandboxPool"/> keeps ready when it is not told; 0 where an idle one costs money.</summary>
    int DefaultPoolSize => 0;

    /// <summary>Finds out what isolates the code that runs here, for a health check; the first answer may take a start's time.</summary>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <returns>What holds and what does not; <see langword="null"/> when the environment does not tell.</returns>
    /// <exception cref="SandboxException">Nothing can be started here.</exception>
    Task<SandboxIsolation?> GetIsolationAsync(CancellationToken cancellationToken) => Task.FromResult<SandboxIsolation?>(null);
}
