using DeepRecall.Request;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Quickstart;

internal static class Program
{
    private const int Ok = 0;
    private const int Failed = 1;
    private const int BadArguments = 2;
    private const int Cancelled = 130;

    public static async Task<int> Main(string[] args)
    {
        if (!Arguments.TryParse(args, out var arguments, out var problem))
        {
            await Console.Error.WriteLineAsync(problem);
            return BadArguments;
        }

        if (arguments.Help)
        {
            await Console.Out.WriteAsync(Arguments.HelpText);
            return Ok;
        }

        try
        {
            return await RunAsync(arguments);
        }
        catch (Exception error)
        {
            return Fail(error.Message);
        }
    }

    private static async Task<int> RunAsync(Arguments arguments)
    {
        var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { ContentRootPath = AppContext.BaseDirectory });
        builder.Logging.ClearProviders().AddConsole(options => options.LogToStandardErrorThreshold = LogLevel.Trace);
        Models.Register(builder.Services, builder.Configuration, arguments);

        using var host = builder.Build();
        await host.StartAsync();
        var stopping = host.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping;
        var printer = new ProgressPrinter(Console.Out, !Console.IsOutputRedirected, Environment.GetEnvironmentVariable("NO_COLOR"));
        try
        {
            printer.Line(Models.Describe(host.Services));
            return await AskAsync(host.Services.GetRequiredService<IChatClient>(), arguments, printer, stopping);
        }
        catch (Exception error)
        {
            if (error.GetTrajectory() is { } trajectory)
            {
                printer.ShowEnd(trajectory);
            }

            if (stopping.IsCancellationRequested)
            {
                await Console.Error.WriteLineAsync("Cancelled.");
                return Cancelled;
            }

            return Fail(error.Message);
        }
        finally
        {
            await host.StopAsync(CancellationToken.None);
        }
    }

    private static async Task<int> AskAsync(IChatClient client, Arguments arguments, ProgressPrinter printer, CancellationToken stopping)
    {
        var directory = arguments.Question is null ? Directory.CreateTempSubdirectory("quickstart-") : null;
        try
        {
            var context = directory is null ? OpenContext(arguments) : await MakeSampleAsync(directory, arguments.Seed, printer, stopping);
            var question = arguments.Question ?? SampleLog.Question;
            printer.Line($"Question: {question}");
            var message = new ChatMessage(ChatRole.User, context is null ? [new TextContent(question)] : [context, new TextContent(question)]);
            await foreach (var update in client.GetStreamingResponseAsync([message], cancellationToken: stopping))
            {
                printer.Show(update);
            }

            if (printer.Trajectory is { } trajectory)
            {
                printer.ShowEnd(trajectory);
            }

            return Ok;
        }
        finally
        {
            directory?.Delete(recursive: true);
        }
    }

    private static AIContent? OpenContext(Arguments arguments) => arguments.Context switch
    {
        null => null,
        Arguments.StandardInput => ContextContent.FromStream(Console.OpenStandardInput(), name: "standard input"),
        var path => ContextContent.FromFile(path),
    };

    private static async Task<AIContent> MakeSampleAsync(DirectoryInfo directory, int seed, ProgressPrinter printer, CancellationToken stopping)
    {
        var path = Path.Combine(directory.FullName, "services.log");
        await using (var file = File.Create(path))
        {
            await new SampleLog(seed).WriteAsync(file, stopping);
        }

        printer.Line($"Context: a sample log of {new FileInfo(path).Length:N0} bytes (seed {seed}), in a temporary file.");
        return ContextContent.FromFile(path);
    }

    private static int Fail(string message)
    {
        Console.Error.WriteLine($"Failed: {string.Join(' ', message.Split((char[])['\r', '\n'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))}");
        return Failed;
    }
}
