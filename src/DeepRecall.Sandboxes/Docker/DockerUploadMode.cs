namespace DeepRecall.Sandboxes.Docker;

/// <summary>How files (large contexts) get into a container.</summary>
public enum DockerUploadMode
{
    /// <summary><see cref="Bind"/> where the engine sees the files of this machine (a Unix socket on Linux), else <see cref="Volume"/>.</summary>
    Automatic,

    /// <summary>A directory of this machine is mounted into the container, read-only there. The fastest; it needs an engine on this machine.</summary>
    Bind,

    /// <summary>The engine is sent archives, which it unpacks into a volume of the container. Works with an engine anywhere.</summary>
    Volume,
}
