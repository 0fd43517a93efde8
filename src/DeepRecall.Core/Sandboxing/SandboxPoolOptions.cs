namespace DeepRecall.Sandboxing;

/// <summary>How many idle processes a <see cref="SandboxPool"/> keeps, and for how long.</summary>
public sealed class SandboxPoolOptions
{
    /// <summary>
    /// Gets or sets how many idle processes are kept ready. Default <see langword="null"/>: what the environment suggests
    /// (<see cref="ISandbox.DefaultPoolSize"/>), which is 1 for the local one and 0 elsewhere. With 0 every request starts its own.
    /// </summary>
    public int? Size { get; set; }

    /// <summary>
    /// Gets or sets how long a process may wait; one that waited longer is ended, and another is started after the next request only.
    /// Default 1 hour.
    /// </summary>
    public TimeSpan MaxIdleTime { get; set; } = TimeSpan.FromHours(1);

    /// <summary>
    /// Gets or sets how long an idle process may take to start; <see cref="Timeout.InfiniteTimeSpan"/> for no limit. Default 1 minute,
    /// as <see cref="DeepRecallOptions.SandboxStartTimeout"/>, which holds for those that a request starts.
    /// </summary>
    public TimeSpan StartTimeout { get; set; } = TimeSpan.FromSeconds(60);
}
