namespace DeepRecall.Sandboxes.Prime;

/// <summary>How a <see cref="PrimeSandbox"/> reaches Prime Intellect, and what its sandboxes are like.</summary>
public sealed class PrimeSandboxOptions
{
    /// <summary>Gets or sets the API key. Default: the environment variable <c>PRIME_API_KEY</c>.</summary>
    public string? ApiKey { get; set; }

    /// <summary>
    /// Gets or sets the team that the sandboxes belong to and are paid by. Default: the environment variable <c>PRIME_TEAM_ID</c>, else the
    /// key's own account.
    /// </summary>
    public string? TeamId { get; set; }

    /// <summary>
    /// Gets or sets the address of the API, with or without <c>/api/v1</c>. Default: the environment variable <c>PRIME_API_BASE_URL</c> or
    /// <c>PRIME_BASE_URL</c>, else <c>https://api.primeintellect.ai</c>.
    /// </summary>
    public string? BaseUrl { get; set; }

    /// <summary>Gets or sets the image; it must hold <c>python3</c> (3.9 or newer) and a POSIX shell. Default <c>python:3.12-slim</c>.</summary>
    public string Image { get; set; } = "python:3.12-slim";

    /// <summary>Gets or sets the number of CPU cores. Default 1.</summary>
    public double CpuCores { get; set; } = 1;

    /// <summary>Gets or sets the memory in GB. Default 2.</summary>
    public double MemoryGB { get; set; } = 2;

    /// <summary>Gets or sets the size of the disk in GB. Default 5.</summary>
    public double DiskGB { get; set; } = 5;

    /// <summary>
    /// Gets or sets how long a sandbox lives at most; it cannot be extended later, so a REPL cannot be used for longer. Whole minutes, up to
    /// 24 hours. Default 1 hour.
    /// </summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromHours(1);

    /// <summary>Gets or sets how long it may take until a sandbox runs, with the pull of its image. Default 5 minutes.</summary>
    public TimeSpan CreationTimeout { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>
    /// Gets or sets a value indicating whether code may reach the network. Default <see langword="false"/>: all egress is denied. Sub-calls and
    /// tools work all the same, as they need no connection of the sandbox's own.
    /// </summary>
    public bool AllowInternet { get; set; }

    /// <summary>
    /// Gets or sets a value indicating whether sandboxes are containers. Default <see langword="false"/>: virtual machines, whose processes have
    /// a standard input. Containers have none, so their exchange goes through files by one command of the API for each message: slower, and
    /// each sub-call costs two of them.
    /// </summary>
    public bool Container { get; set; }

    /// <summary>Gets environment variables for the sandbox. Model code can read them: put no key here that it must not have.</summary>
    public IDictionary<string, string> EnvVars { get; } = new Dictionary<string, string>(StringComparer.Ordinal);
}
