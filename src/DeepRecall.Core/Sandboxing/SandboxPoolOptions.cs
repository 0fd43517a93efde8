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

    /// <summary>What is wrong with the options: each with its value and what is allowed.</summary>
    internal IEnumerable<(string Option, object? Value, string Allowed)> Problems()
    {
        if (Size < 0)
        {
            yield return (nameof(Size), Size, "0 or more");
        }

        if (MaxIdleTime <= TimeSpan.Zero)
        {
            yield return (nameof(MaxIdleTime), MaxIdleTime, "more than zero");
        }

        if (StartTimeout <= TimeSpan.Zero && StartTimeout != Timeout.InfiniteTimeSpan)
        {
            yield return (nameof(StartTimeout), StartTimeout, "more than zero, or infinite");
        }
    }
}
