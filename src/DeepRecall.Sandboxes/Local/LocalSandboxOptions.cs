namespace DeepRecall.Sandboxes.Local;

/// <summary>How a <see cref="LocalSandbox"/> starts Python.</summary>
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
}
