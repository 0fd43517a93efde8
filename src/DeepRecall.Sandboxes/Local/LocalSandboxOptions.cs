namespace DeepRecall.Sandboxes.Local;

/// <summary>How a <see cref="LocalSandbox"/> starts Python, and to what it confines it.</summary>
/// <remarks>The limits, and what the code may do, hold where there is confinement: on Linux, unless <see cref="Isolation"/> is <see cref="LocalIsolation.None"/>.</remarks>
public sealed class LocalSandboxOptions
{
    /// <summary>
    /// Gets or sets the Python interpreter, as a path or a name on <c>PATH</c>; Python 3.9 or newer. When it is <see langword="null"/>
    /// (the default), <c>python3</c>, <c>python</c> and <c>py -3</c> are tried in this order.
    /// </summary>
    public string? PythonPath { get; set; }

    /// <summary>
    /// Gets or sets a value indicating whether code may import the packages that are installed for the interpreter (its
    /// <c>site-packages</c>). Default <see langword="false"/>: the standard library only, which also starts faster.
    /// </summary>
    public bool UseSitePackages { get; set; }

    /// <summary>Gets or sets the directory below which scratch directories are made. Default: the system's temporary directory.</summary>
    public string? ScratchRoot { get; set; }

    /// <summary>Gets or sets how much to insist on confinement. Default: <see cref="LocalIsolation.Preferred"/>.</summary>
    public LocalIsolation Isolation { get; set; }

    /// <summary>
    /// Gets or sets a value indicating whether code may start processes, which are confined as it is. Default <see langword="false"/>.
    /// The limits of memory and of open files then hold for each process by itself.
    /// </summary>
    public bool AllowSubprocesses { get; set; }

    /// <summary>
    /// Gets or sets a value indicating whether code may use the network, by TCP and UDP; other sockets stay closed to it. Default
    /// <see langword="false"/>.
    /// </summary>
    public bool AllowNetwork { get; set; }

    /// <summary>Gets files and directories that code may read beside Python's own; full paths, none by default.</summary>
    public IList<string> ReadablePaths { get; } = [];

    /// <summary>
    /// Gets or sets how many bytes of memory code may take beyond what the process and its context hold when the first cell starts.
    /// It is a limit of address space, in which a thread's stack counts with 8 MiB. Code that runs into it gets a <c>MemoryError</c>.
    /// Default 1 GiB, at least 16 MiB.
    /// </summary>
    public long MemoryLimit { get; set; } = 1L << 30;

    /// <summary>
    /// Gets or sets how many bytes the scratch directory may hold, a file counting as 4 KiB at least. No file can
    /// grow past seven eighths of it, which is an <c>OSError</c>; a directory that does ends the process soon after. Default 1 GiB, at least 1 MiB.
    /// </summary>
    public long ScratchLimit { get; set; } = 1L << 30;

    /// <summary>Gets or sets how many descriptors (files, pipes) the process may have open. Default 256, at least 32.</summary>
    public int OpenFileLimit { get; set; } = 256;

    /// <summary>
    /// Gets or sets how many threads the process may have, and with <see cref="AllowSubprocesses"/> how many it and its processes may
    /// have together. One that has more is ended soon after. Default 128, at least 8.
    /// </summary>
    public int ThreadLimit { get; set; } = 128;

    /// <summary>Gets the mechanisms that the confinement finds missing although they are there: system calls by name, for tests of what is said then.</summary>
    internal IList<string> HiddenMechanisms { get; } = [];
}
