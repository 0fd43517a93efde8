namespace DeepRecall.Sandboxes.Docker;

/// <summary>When a <see cref="DockerSandbox"/> has its image fetched from a registry.</summary>
public enum DockerPullPolicy
{
    /// <summary>When the engine does not have it.</summary>
    Missing,

    /// <summary>Before the sandbox's first start, so that a tag that moved is followed; a failed pull is an error.</summary>
    Always,

    /// <summary>Never: an image that the engine does not have is an error.</summary>
    Never,
}
