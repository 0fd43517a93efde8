namespace DeepRecall.Sandboxes.Docker;

/// <summary>What a check of a <see cref="DockerSandbox"/> found.</summary>
/// <param name="EngineVersion">The version of the engine that answered.</param>
/// <param name="ImageIsThere">Whether the engine has the image; if not, the first start pulls it, when its policy allows.</param>
/// <param name="OrphansRemoved">How many containers of hosts that died were removed.</param>
public sealed record DockerSandboxHealth(string EngineVersion, bool ImageIsThere, int OrphansRemoved);
