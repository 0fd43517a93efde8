namespace DeepRecall.Sandboxes.Modal;

/// <summary>How a <see cref="ModalSandbox"/> reaches Modal, and what it asks for there.</summary>
public sealed class ModalSandboxOptions
{
    /// <summary>Gets or sets the id of the API token (<c>ak-...</c>). Default: the environment variable <c>MODAL_TOKEN_ID</c>.</summary>
    public string? TokenId { get; set; }

    /// <summary>Gets or sets the secret of the API token (<c>as-...</c>). Default: the environment variable <c>MODAL_TOKEN_SECRET</c>.</summary>
    public string? TokenSecret { get; set; }

    /// <summary>Gets or sets the address of the API. Default: the environment variable <c>MODAL_SERVER_URL</c>, else <c>https://api.modal.com</c>.</summary>
    /// <remarks>With an address on the loopback interface, sandboxes are reached without TLS too, as with Modal's own SDKs.</remarks>
    public string? ServerUrl { get; set; }

    /// <summary>Gets or sets Modal's environment in which the app lives. Default: the environment variable <c>MODAL_ENVIRONMENT</c>, else the account's default.</summary>
    public string? Environment { get; set; }

    /// <summary>Gets or sets the name of the app that owns the sandboxes; it is made when it is not there. Default <c>deeprecall</c>.</summary>
    public string AppName { get; set; } = "deeprecall";

    /// <summary>Gets or sets the image, as a registry names it; it must have <c>python3</c>, 3.9 or newer. Default <c>python:3.13-slim</c>.</summary>
    public string Image { get; set; } = "python:3.13-slim";

    /// <summary>Gets or sets how many CPU cores are reserved, for example 0.5. Default <see langword="null"/>: Modal's own default.</summary>
    public double? Cpu { get; set; }

    /// <summary>Gets or sets how much memory is reserved, in MiB. Default <see langword="null"/>: Modal's own default.</summary>
    public int? MemoryMb { get; set; }

    /// <summary>
    /// Gets or sets after what time Modal ends a sandbox by itself, in whole seconds. Modal cannot extend it, so it must be longer than the
    /// longest request. Default one hour; at least ten seconds, at most 24 hours.
    /// </summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromHours(1);

    /// <summary>Gets or sets a value indicating whether code in the sandbox is kept from the network. Default <see langword="true"/>.</summary>
    public bool BlockNetwork { get; set; } = true;

    /// <summary>Gets the environment variables of code in the sandbox, which that code can read. Default none.</summary>
    public IDictionary<string, string> EnvVars { get; } = new Dictionary<string, string>(StringComparer.Ordinal);
}
