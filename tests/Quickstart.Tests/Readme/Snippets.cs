// snippet:usings
using DeepRecall;
using DeepRecall.Request;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
// end

namespace Quickstart.Tests.Readme;

/// <summary>The README's examples, as code that runs.</summary>
/// <remarks>The parameter named Console stands in for the class, so that a test can read what a reader's program would print.</remarks>
internal static class Snippets
{
    public static async Task DependencyInjectionAsync(IChatClient model, IChatClient cheaperModel, string path, TextWriter Console)
    {
        // snippet:dependency-injection
        var builder = Host.CreateApplicationBuilder();
        builder.Services.AddSingleton<ISandbox>(_ => new LocalSandbox());
        builder.Services
            .AddChatClient(model) // any IChatClient: OpenAI, Azure, Ollama, ...
            .UseDeepRecall(options =>
            {
                options.SubClients.Add(new SubClient("mini", cheaperModel));
                options.MaxIterations = 20;
            });
        using var host = builder.Build();

        var client = host.Services.GetRequiredService<IChatClient>();
        var response = await client.GetResponseAsync(
        [
            new ChatMessage(ChatRole.User, [ContextContent.FromFile(path), new TextContent("Which step failed first, and why?")]),
        ]);
        Console.WriteLine(response.Text);
        // end
    }

    public static async Task MiddlewareAsync(IChatClient model, string path, TextWriter Console)
    {
        // snippet:middleware
        using var client = model.AsBuilder()
            .UseDeepRecall(options => options.Sandbox = new LocalSandbox())
            .Build();

        var question = new ChatMessage(ChatRole.User, [ContextContent.FromFile(path), new TextContent("Which step failed first, and why?")]);
        await foreach (var update in client.GetStreamingResponseAsync([question]))
        {
            foreach (var cell in update.GetDeepRecallEvents().OfType<CellCompletedEvent>())
            {
                Console.WriteLine($"cell {cell.Cell.Number}: {cell.Cell.Status}, {cell.Cell.Subcalls.Count} sub-calls");
            }

            Console.Write(update.Text); // the answer; what the model says on the way is TextReasoningContent
            if (update.GetTrajectory() is { } trajectory)
            {
                Console.WriteLine($"\n{trajectory.Turns.Count} turns, {trajectory.Usage.TotalTokenCount} tokens");
            }
        }

        // end
    }
}
