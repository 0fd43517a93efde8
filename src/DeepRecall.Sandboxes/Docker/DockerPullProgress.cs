namespace DeepRecall.Sandboxes.Docker;

/// <summary>How far the pull of an image has come.</summary>
/// <param name="Image">The image.</param>
/// <param name="Layer">The layer that this is about, or <see langword="null"/> for the image as a whole.</param>
/// <param name="Status">What the engine does with it, in its words, for example <c>Downloading</c>.</param>
/// <param name="CurrentBytes">How many bytes of it are done, as far as the engine tells.</param>
/// <param name="TotalBytes">How many there are, as far as the engine tells.</param>
public sealed record DockerPullProgress(string Image, string? Layer, string Status, long? CurrentBytes, long? TotalBytes);
