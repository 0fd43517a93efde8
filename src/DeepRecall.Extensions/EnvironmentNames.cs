namespace DeepRecall;

/// <summary>The names of the REPL environments, as they stand in configuration and as keys of <see cref="Sandboxing.ISandbox"/> services.</summary>
public static class EnvironmentNames
{
    /// <summary>A confined process on this machine.</summary>
    public const string Local = "local";

    /// <summary>A container of a Docker engine.</summary>
    public const string Docker = "docker";

    /// <summary>A sandbox of Modal.</summary>
    public const string Modal = "modal";

    /// <summary>A sandbox of E2B.</summary>
    public const string E2B = "e2b";

    /// <summary>A sandbox of Daytona.</summary>
    public const string Daytona = "daytona";

    /// <summary>A sandbox of Prime Intellect.</summary>
    public const string Prime = "prime";

    /// <summary>Gets all of them.</summary>
    public static IReadOnlyList<string> All { get; } = [Local, Docker, Modal, E2B, Daytona, Prime];
}
