namespace DeepRecall.Sandboxes.E2B;

/// <summary>How an <see cref="E2BSandbox"/> reaches E2B, and what its sandboxes are like.</summary>
public sealed class E2BSandboxOptions
{
    /// <summary>Gets or sets the API key (<c>e2b_...</c>). Default: the environment variable <c>E2B_API_KEY</c>.</summary>
    public string? ApiKey { get; set; }

    /// <summary>Gets or sets the domain of the service. Default: the environment variable <c>E2B_DOMAIN</c>, else <c>e2b.app</c>.</summary>
    public string? Domain { get; set; }

    /// <summary>
    /// Gets or sets the address of the control API. Default: the environment variable <c>E2B_API_URL</c>, else <c>https://api.{Domain}</c>.
    /// </summary>
    public string? ApiUrl { get; set; }

    /// <summary>
    /// Gets or sets an address by which all sandboxes are reached, in place of one that is made of the domain and the sandbox's id; for
    /// self-hosted services behind a proxy. Default: the environment variable <c>E2B_SANDBOX_URL</c>, else none.
    /// </summary>
    public string? SandboxUrl { get; set; }

    /// <summary>
    /// Gets or sets the template, by name or id; it must hold <c>python3</c> (3.9 or newer) and <c>/bin/sh</c>. CPUs, memory and disk are the
    /// template's too. Default <c>base</c>.
    /// </summary>
    public string Template { get; set; } = "base";

    /// <summary>
    /// Gets or sets how long a sandbox outlives its host: E2B deletes it after so long, and it is extended in the background, each third of
    /// that time, for as long as it is in use. Whole seconds, from 15 seconds to 24 hours. Default 5 minutes.
    /// </summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>
    /// Gets or sets a value indicating whether code may reach the internet. Default <see langword="false"/>; sub-calls and tools work all
    /// the same, as they need no connection of the sandbox's own.
    /// </summary>
    public bool AllowInternet { get; set; }

    /// <summary>
    /// Gets metadata for each sandbox, by which it is found in the account. <c>managed-by</c> (<c>deeprecall</c>) and
    /// <c>deeprecall-start</c> are added and cannot be set.
    /// </summary>
    public IDictionary<string, string> Metadata { get; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Gets environment variables for the sandbox. Model code can read them: put no key here that it must not have.</summary>
    public IDictionary<string, string> EnvVars { get; } = new Dictionary<string, string>(StringComparer.Ordinal);
}
