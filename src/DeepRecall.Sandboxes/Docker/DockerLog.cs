using Microsoft.Extensions.Logging;

namespace DeepRecall.Sandboxes.Docker;

/// <summary>What the Docker environment logs. Ids are stable.</summary>
internal static partial class DockerLog
{
    [LoggerMessage(201, LogLevel.Information, "Pulling the image {Image}.")]
    public static partial void Pulling(ILogger logger, string image);

    [LoggerMessage(202, LogLevel.Information, "Pulled the image {Image}.")]
    public static partial void Pulled(ILogger logger, string image);

    [LoggerMessage(203, LogLevel.Information, "Removed the container {Container}, whose host {Host} is gone.")]
    public static partial void Reaped(ILogger logger, string container, string host);

    [LoggerMessage(204, LogLevel.Warning, "Containers of hosts that are gone could not be looked for: {Problem}")]
    public static partial void NotReaped(ILogger logger, string problem);

    [LoggerMessage(205, LogLevel.Warning, "The container {Container} could not be removed: {Problem}")]
    public static partial void NotRemoved(ILogger logger, string container, string problem);
}
