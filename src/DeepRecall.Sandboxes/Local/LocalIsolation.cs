namespace DeepRecall.Sandboxes.Local;

/// <summary>How much a <see cref="LocalSandbox"/> insists on confining the code that it runs.</summary>
public enum LocalIsolation
{
    /// <summary>The code is confined as far as this machine allows; what is missing is told on the trajectory and logged as a warning, once.</summary>
    Preferred,

    /// <summary>A process that is not confined in full is ended before any code runs in it, and the start fails with the reason.</summary>
    Required,

    /// <summary>The code is not confined and has no limits: it has the rights of the host's user, though not the host's environment variables.</summary>
    None,
}
