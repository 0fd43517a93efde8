namespace DeepRecall.Sandboxes.Daytona;

/// <summary>How a <see cref="DaytonaSandbox"/> reaches Daytona, and what it asks for there.</summary>
public sealed class DaytonaSandboxOptions
{
    /// <summary>Gets or sets the API key. Default: the environment variable <c>DAYTONA_API_KEY</c>, unless <see cref="JwtToken"/> is set.</summary>
    public string? ApiKey { get; set; }

    /// <summary>Gets or sets a JSON Web Token in place of a key. Default: the environment variable <c>DAYTONA_JWT_TOKEN</c> when there is no key.</summary>
    public string? JwtToken { get; set; }

    /// <summary>Gets or sets the organization that a <see cref="JwtToken"/> acts for. Default: the environment variable <c>DAYTONA_ORGANIZATION_ID</c>.</summary>
    public string? OrganizationId { get; set; }

    /// <summary>Gets or sets the address of the API. Default: the environment variable <c>DAYTONA_API_URL</c>, else <c>https://app.daytona.io/api</c>.</summary>
    public string? ApiUrl { get; set; }

    /// <summary>Gets or sets the region, for example <c>eu</c>. Default: the environment variable <c>DAYTONA_TARGET</c>, else the account's default.</summary>
    public string? Target { get; set; }

    /// <summary>Gets or sets the snapshot to start from. Default <see langword="null"/>: Daytona's own, which has Python. Not together with <see cref="Image"/>.</summary>
    public string? Snapshot { get; set; }

    /// <summary>Gets or sets an image to start from, as a registry names it; it must have a shell and <c>python3</c>, 3.9 or newer. Default <see langword="null"/>.</summary>
    public string? Image { get; set; }

    /// <summary>Gets or sets the number of CPU cores; only with an <see cref="Image"/>. Default <see langword="null"/>: Daytona's own default.</summary>
    public int? Cpu { get; set; }

    /// <summary>Gets or sets the memory in GiB; only with an <see cref="Image"/>. Default <see langword="null"/>: Daytona's own default.</summary>
    public int? MemoryGb { get; set; }

    /// <summary>Gets or sets the disk in GiB; only with an <see cref="Image"/>. Default <see langword="null"/>: Daytona's own default.</summary>
    public int? DiskGb { get; set; }

    /// <summary>Gets or sets a value indicating whether code in the sandbox is kept from the network. Default <see langword="true"/>.</summary>
    public bool NetworkBlockAll { get; set; } = true;

    /// <summary>
    /// Gets or sets after what time without a connection Daytona stops a sandbox by itself, in whole minutes; zero is never. It only matters when this
    /// process cannot delete it any more: while a REPL lives, its connection keeps the sandbox running. Default 15 minutes.
    /// </summary>
    public TimeSpan AutoStop { get; set; } = TimeSpan.FromMinutes(15);

    /// <summary>Gets or sets a value indicating whether Daytona deletes a sandbox that it has stopped. Default <see langword="true"/>.</summary>
    public bool Ephemeral { get; set; } = true;

    /// <summary>Gets the environment variables of code in the sandbox, which that code can read. Default none.</summary>
    public IDictionary<string, string> EnvVars { get; } = new Dictionary<string, string>(StringComparer.Ordinal);
}
