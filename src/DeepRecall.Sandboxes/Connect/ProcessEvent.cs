using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Connect;

/// <summary>What a process service tells of a process.</summary>
internal enum ProcessEventKind
{
    /// <summary>Nothing but that the connection lives.</summary>
    KeepAlive,

    /// <summary>The process runs, and what it writes from now on comes here.</summary>
    Started,

    /// <summary>It wrote to its standard output.</summary>
    Output,

    /// <summary>It wrote to its standard error.</summary>
    Error,

    /// <summary>It has ended.</summary>
    Ended,
}

/// <summary>An event of a process.</summary>
/// <param name="Kind">What happened.</param>
/// <param name="Pid">With <see cref="ProcessEventKind.Started"/>, the process's number.</param>
/// <param name="Data">With output, its bytes.</param>
/// <param name="Exit">With <see cref="ProcessEventKind.Ended"/>, how.</param>
internal readonly record struct ProcessEvent(ProcessEventKind Kind, uint Pid = 0, ReadOnlyMemory<byte> Data = default, SandboxExit? Exit = null);

/// <summary>A process to start.</summary>
/// <param name="Command">The program.</param>
/// <param name="Arguments">Its arguments.</param>
/// <param name="Directory">Its working directory; <see langword="null"/> for the user's home.</param>
/// <param name="Id">A name of its own by which it is found when its start was not answered; <see langword="null"/> for one that need not be found.</param>
/// <param name="Stdin">Whether it reads a standard input.</param>
internal sealed record ProcessCommand(string Command, IReadOnlyList<string> Arguments, string? Directory = null, string? Id = null, bool Stdin = false);
