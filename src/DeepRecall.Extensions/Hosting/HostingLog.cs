using Microsoft.Extensions.Logging;

namespace DeepRecall.Hosting;

/// <summary>Every message that the front door logs. Ids are stable.</summary>
internal static partial class HostingLog
{
    [LoggerMessage(101, LogLevel.Error, "The options of DeepRecall have changed and are not valid, so that those before the change stay: {Problem}")]
    public static partial void ChangeNotValid(ILogger logger, string problem);

    [LoggerMessage(102, LogLevel.Warning, "The idle processes of environment {Environment} could not be started with the host; the first request starts its own.")]
    public static partial void NotWarmed(ILogger logger, string environment, Exception error);

    [LoggerMessage(103, LogLevel.Information, "The host stops; {Count} requests of DeepRecall are running and have {Seconds:0} s to end.")]
    public static partial void Stopping(ILogger logger, int count, double seconds);

    [LoggerMessage(104, LogLevel.Warning, "The host stops; {Count} requests of DeepRecall are cancelled.")]
    public static partial void Cancelling(ILogger logger, int count);

    [LoggerMessage(105, LogLevel.Warning, "The host stops without waiting any longer for {Count} requests of DeepRecall.")]
    public static partial void NotEnded(ILogger logger, int count);
}
