// snippet:usings
using DeepRecall;
using DeepRecall.Backends;
using DeepRecall.Budgets;
using DeepRecall.Request;
using DeepRecall.Retrieval;
using DeepRecall.Sandboxes.Daytona;
using DeepRecall.Sandboxes.Docker;
using DeepRecall.Sandboxes.E2B;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxes.Modal;
using DeepRecall.Sandboxes.Prime;
using DeepRecall.Sandboxing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
// end

namespace Quickstart.Tests.Readme;

/// <summary>The README's examples, as code that runs.</summary>
/// <remarks>The parameter named Console stands in for the class, so that a test can read what a reader's program would print.</remarks>
internal static class Snippets
{
    public static async Task AddDeepRecallAsync(string[] args, string path, TextWriter Console)
    {
        // snippet:add-deeprecall
        var builder = Host.CreateApplicationBuilder(args);
        builder.Services.AddDeepRecall(builder.Configuration.GetSection("DeepRecall"));
        using var host = builder.Build();
        await host.StartAsync(); // a setting that is wrong is told here, by its key

        var client = host.Services.GetRequiredService<IChatClient>();
        var response = await client.GetResponseAsync(
        [
            new ChatMessage(ChatRole.User, [ContextContent.FromFile(path), new TextContent("Which step failed first, and why?")]),
        ]);
        Console.WriteLine(response.Text);
        // end
    }

    public static void AddDeepRecallInCode(IHostApplicationBuilder builder)
    {
        // snippet:add-deeprecall-code
        builder.Services.AddDeepRecall(options =>
        {
            options.Backend = BackendNames.OpenAI;
            options.OtherBackends.Add("mini");
            options.Backends[BackendNames.OpenAI] = new BackendOptions { ModelName = "gpt-4o" };
            options.Backends["mini"] = new BackendOptions { Provider = BackendNames.OpenAI, ModelName = "gpt-4o-mini" };
            options.Environment = EnvironmentNames.Docker;
            options.Environments[EnvironmentNames.Docker] = new EnvironmentOptions { Docker = { Image = "python:3.12-slim" }, Pool = { Size = 1 } };
            options.MaxIterations = 15;
            options.MaxDuration = TimeSpan.FromMinutes(10);
        });
        // end
    }

    public static void DependencyInjection(IHostApplicationBuilder builder, IChatClient model, IChatClient cheaperModel)
    {
        // snippet:dependency-injection
        builder.Services.AddSingleton<ISandbox>(_ => new LocalSandbox());
        builder.Services
            .AddChatClient(model) // any IChatClient: OpenAI, Azure, Ollama, ...
            .UseDeepRecall(options =>
            {
                options.SubClients.Add(new SubClient("mini", cheaperModel));
                options.MaxIterations = 20;
            });
        // end
    }

    public static void Builder(IServiceCollection services, IConfiguration configuration)
    {
        // snippet:builder
        services.AddDeepRecall(configuration.GetSection("DeepRecall"))
            .AddBackend("own", _ => new MyChatClient()) // any IChatClient, by a name for Backend and OtherBackends
            .AddEnvironment("gvisor", environment =>
            {
                environment.Provider = EnvironmentNames.Docker;
                environment.Docker.Runtime = "runsc";
            })
            .ConfigureMainClient(pipeline => pipeline.UseOpenTelemetry()) // around each call of the root model
            .ConfigureSubClients(pipeline => pipeline.UseDistributedCache()) // around each call of a sub-model
            .Configure((provider, options) => options.SearchSource = provider.GetService<ISearchSource>());

        services.AddKeyedDeepRecall("research", configuration.GetSection("Research")); // another one: GetRequiredKeyedService<IChatClient>("research")
        services.AddHealthChecks().AddDeepRecallBackend(ping: true).AddDeepRecallSandbox();
        // end
    }

    public static void FromPython(IServiceCollection services, ISearchSource store)
    {
        // snippet:from-python
        services.AddDeepRecall(options =>
        {
            options.Backend = "openai";
            options.Backends["openai"] = new BackendOptions { ModelName = "gpt-4o" };
            options.OtherBackends.Add("mini");
            options.Backends["mini"] = new BackendOptions { Provider = "openai", ModelName = "gpt-4o-mini" };
            options.Environment = "e2b";
            options.Environments["e2b"] = new EnvironmentOptions { E2B = { ApiKey = "e2b_..." } };
            options.SearchSource = store;
        });
        // end
    }

    public static ISandbox[] Environments()
    {
        // snippet:environments
        ISandbox local = new SandboxPool(new LocalSandbox(new LocalSandboxOptions { Isolation = LocalIsolation.Required })); // keeps a confined process ready
        ISandbox docker = new DockerSandbox(new DockerSandboxOptions { Image = "python:3.12-slim", MemoryMB = 1024 });
        ISandbox e2b = new E2BSandbox(new E2BSandboxOptions { ApiKey = "e2b_..." }); // or E2B_API_KEY
        ISandbox modal = new ModalSandbox(new ModalSandboxOptions { TokenId = "ak-...", TokenSecret = "as-..." });
        ISandbox daytona = new DaytonaSandbox(new DaytonaSandboxOptions { ApiKey = "dtn_..." });
        ISandbox prime = new PrimeSandbox(new PrimeSandboxOptions { ApiKey = "..." });
        // end
        return [local, docker, e2b, modal, daytona, prime];
    }

    public static async Task BudgetAsync(IChatClient model, IChatClient cheaperModel, ChatMessage question, TextWriter Console)
    {
        // snippet:budget
        using var client = model.AsBuilder()
            .UseDeepRecall(options =>
            {
                options.Sandbox = new LocalSandbox();
                options.Model = new ModelInfo { Pricing = new ModelPricing(InputPerMillion: 2.50m, OutputPerMillion: 10m) };
                options.SubClients.Add(new SubClient("mini", cheaperModel) { Model = new ModelInfo { Pricing = new ModelPricing(0.15m, 0.60m) } });
                options.MaxCostUsd = 0.50m;
                options.MaxDuration = TimeSpan.FromMinutes(5);
            })
            .Build();

        // This request may take less still.
        var response = await client.GetResponseAsync([question], new ChatOptions().WithDeepRecall(own => own.MaxSubcalls = 100));
        Console.WriteLine($"{response.Text} ({response.GetTrajectory()!.StopReason}, {response.Usage!.GetCostUsd():0.0000} USD)");
        // end
    }

    public static async Task ConversationAsync(IChatClient model, string path, TextWriter Console)
    {
        // snippet:conversation
        using var client = model.AsBuilder()
            .UseDeepRecall(options =>
            {
                options.Sandbox = new LocalSandbox();
                options.Persistent = true;
            })
            .Build();

        var first = await client.GetResponseAsync([new ChatMessage(ChatRole.User, [ContextContent.FromFile(path), new TextContent("Which step failed first?")])]);
        var second = await client.GetResponseAsync("And why?", new ChatOptions { ConversationId = first.ConversationId }); // the same REPL: its context and variables are there
        Console.WriteLine(second.Text);
        // end
    }

    public static async Task StructuredAsync(IChatClient client, ChatMessage question, TextWriter Console)
    {
        // snippet:structured
        var response = await client.GetResponseAsync<Failure>([question]); // record Failure(string Step, int Line);
        Console.WriteLine($"{response.Result.Step} in line {response.Result.Line}");
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

    public static string OpenAI()
    {
        // snippet:backend-openai
        using var client = Backend.CreateChatClient(new BackendOptions
        {
            Provider = BackendNames.OpenAI,
            ModelName = "gpt-4o-mini",
            ApiKey = "sk-...",
        });
        // end
        return client.GetService<ChatClientMetadata>()!.DefaultModelId!;
    }

    public static string Anthropic()
    {
        // snippet:backend-anthropic
        using var client = Backend.CreateChatClient(new BackendOptions
        {
            Provider = BackendNames.Anthropic,
            ModelName = "claude-sonnet-4-20250514",
            ApiKey = "sk-ant-...",
        });
        // end
        return client.GetService<ChatClientMetadata>()!.DefaultModelId!;
    }

    public static string Gemini()
    {
        // snippet:backend-gemini
        using var client = Backend.CreateChatClient(new BackendOptions
        {
            Provider = BackendNames.Gemini,
            ModelName = "gemini-2.0-flash",
            ApiKey = "AIza...",
        });
        // end
        return client.GetService<ChatClientMetadata>()!.DefaultModelId!;
    }

    public static string AzureOpenAI()
    {
        // snippet:backend-azure
        using var client = Backend.CreateChatClient(new BackendOptions
        {
            Provider = BackendNames.AzureOpenAI,
            ModelName = "my-gpt-4o-deployment",
            ApiKey = "...",
            BaseUrl = "https://my-resource.openai.azure.com/",
            ApiVersion = "2024-02-15-preview",
        });
        // end
        return client.GetService<ChatClientMetadata>()!.DefaultModelId!;
    }

    public static string Vllm()
    {
        // snippet:backend-vllm
        using var client = Backend.CreateChatClient(new BackendOptions
        {
            Provider = BackendNames.Vllm,
            ModelName = "meta-llama/Llama-3-70b",
            BaseUrl = "http://localhost:8000",
        });
        // end
        return client.GetService<ChatClientMetadata>()!.DefaultModelId!;
    }

    public static string SubBackends()
    {
        // snippet:sub-backends
        var main = Backend.CreateChatClient(new BackendOptions { Provider = BackendNames.OpenAI, ModelName = "gpt-4o" });
        var mini = Backend.CreateChatClient(new BackendOptions { Provider = BackendNames.OpenAI, ModelName = "gpt-4o-mini" });
        using var client = main.AsBuilder()
            .UseDeepRecall(options =>
            {
                options.Sandbox = new LocalSandbox();
                options.SubClients.Add(new SubClient("mini", mini)); // llm_query(...) asks it; llm_query(..., model="mini") by name
            })
            .Build();
        // end
        return client.GetService<ChatClientMetadata>()!.DefaultModelId!;
    }
}

/// <summary>Stands for a client of the reader's own.</summary>
internal sealed class MyChatClient() : DelegatingChatClient(new DeepRecall.Testing.ScriptedChatClient(_ => "own"));

/// <summary>What the example with a typed answer asks for.</summary>
internal sealed record Failure(string Step, int Line);
