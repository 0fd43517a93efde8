using DeepRecall.Request;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace HostedApp;

/// <summary>Asks the question, prints the answer, and stops the host. The client is the RLM, since the application registers no other.</summary>
internal sealed partial class QuestionService(IChatClient client, IOptions<AppOptions> options, IHostApplicationLifetime lifetime, ILogger<QuestionService> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            var question = new ChatMessage(ChatRole.User, [ContextContent.FromFile(options.Value.ContextPath), new TextContent(options.Value.Question)]);
            var response = await client.GetResponseAsync([question], cancellationToken: stoppingToken);
            Console.WriteLine(response.Text);
            LogAnswered(logger, response.GetTrajectory()?.Turns.Count ?? 0, response.Usage?.TotalTokenCount ?? 0);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            LogStopped(logger);
            Environment.ExitCode = 130;
        }
        catch (Exception error)
        {
            LogFailed(logger, error);
            Environment.ExitCode = 1;
        }
        finally
        {
            lifetime.StopApplication();
        }
    }

    [LoggerMessage(1, LogLevel.Information, "Answered in {Turns} turns with {Tokens} tokens.")]
    private static partial void LogAnswered(ILogger logger, int turns, long tokens);

    [LoggerMessage(2, LogLevel.Warning, "Stopped before there was an answer.")]
    private static partial void LogStopped(ILogger logger);

    [LoggerMessage(3, LogLevel.Error, "The question could not be answered.")]
    private static partial void LogFailed(ILogger logger, Exception error);
}
