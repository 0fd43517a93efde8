using Microsoft.Extensions.Logging;

namespace DeepRecall.Sandboxes.Cloud;

/// <summary>What cloud environments log. Ids are stable.</summary>
internal static partial class CloudLog
{
    [LoggerMessage(101, LogLevel.Warning, "The sandbox {Sandbox} in environment {Environment} could not be deleted: {Reason}. It ends by its own time limit.")]
    public static partial void NotDeleted(ILogger logger, string environment, string sandbox, string reason);
}
