namespace DeepRecall.Sandboxing;

/// <summary>A running worker process in a sandbox.</summary>
/// <remarks>Disposing it ends the process and all that it started, and removes its scratch files; disposing it twice is harmless.</remarks>
public interface ISandboxProcess : IAsyncDisposable
{
    /// <summary>
    /// Raised when a connection to the process was lost and is there again, while the process lived on: bytes of either stream may be lost.
    /// The REPL then sends again what was not answered, and has the worker do the same, so that nothing is lost or done twice.
    /// </summary>
    /// <remarks>
    /// Whoever raises it promises three things. It is raised when output arrives again, not before. <see cref="Output"/> gets a line feed
    /// where bytes may be missing, and <see cref="Input"/> never repeats bytes or leaves some out before others of the same write; so no two halves
    /// are ever taken for a message. A handler that is added after the fact is called at once.
    /// An environment that loses nothing never raises it, and need not implement it.
    /// </remarks>
    event EventHandler Resumed
    {
        add
        {
        }

        remove
        {
        }
    }

    /// <summary>Gets the stream that the process reads as its standard input.</summary>
    Stream Input { get; }

    /// <summary>Gets the stream that the process writes as its standard output, from its first byte.</summary>
    Stream Output { get; }

    /// <summary>Gets a task that completes when the process has ended. It never fails.</summary>
    Task<SandboxExit> Exited { get; }

    /// <summary>Writes a file into the sandbox.</summary>
    /// <param name="name">The file's name: letters, digits, dots, hyphens and underscores.</param>
    /// <param name="write">Writes the file's bytes to the stream that it is given; called once.</param>
    /// <param name="cancellationToken">Ends the upload.</param>
    /// <returns>The file's path as the process sees it.</returns>
    Task<string> UploadAsync(string name, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken);

    /// <summary>Sends the process an interrupt (SIGINT), which ends the running cell and keeps the REPL's state.</summary>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <returns><see langword="false"/> when the environment has no signals; the REPL's protocol then carries the interrupt.</returns>
    Task<bool> InterruptAsync(CancellationToken cancellationToken);

    /// <summary>Ends the process and all that it started, at once. <see cref="Exited"/> completes soon after.</summary>
    /// <param name="cancellationToken">Ends the attempt.</param>
    Task KillAsync(CancellationToken cancellationToken);
}
