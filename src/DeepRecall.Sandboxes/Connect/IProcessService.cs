using DeepRecall.Sandboxes.Cloud;

namespace DeepRecall.Sandboxes.Connect;

/// <summary>A sandbox in a vendor's cloud whose processes are reached by a Connect service.</summary>
internal interface IProcessService
{
    /// <summary>The sandbox as errors name it, for example <c>the E2B sandbox i1a2b3</c>.</summary>
    string Display { get; }

    /// <summary>The most bytes that are sent in one call.</summary>
    int InputChunk { get; }

    CloudErrors Errors { get; }

    /// <summary>Starts a process; the stream ends with <see cref="ProcessEventKind.Ended"/>.</summary>
    /// <param name="command">The process.</param>
    /// <param name="again">Whether an earlier start of it was not answered: if it runs, it is attached to.</param>
    /// <param name="cancellationToken">Ends the stream, and not the process.</param>
    IAsyncEnumerable<ProcessEvent> StartAsync(ProcessCommand command, bool again, CancellationToken cancellationToken);

    /// <summary>Attaches to a process that runs; what it wrote while nobody was attached is lost.</summary>
    IAsyncEnumerable<ProcessEvent> AttachAsync(uint pid, CancellationToken cancellationToken);

    /// <summary>Writes to a process's standard input; over when it is written.</summary>
    Task SendInputAsync(uint pid, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken);

    /// <summary>Writes a file, and returns its path as processes see it.</summary>
    Task<string> UploadAsync(string name, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken);

    /// <summary>Whether the sandbox is known to be there no more.</summary>
    Task<bool> IsGoneAsync(CancellationToken cancellationToken);

    /// <summary>Deletes the sandbox and all that runs in it; one that is gone is no error. Never throws.</summary>
    Task DeleteAsync();
}
