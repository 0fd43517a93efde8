using DeepRecall.Testing;
using Docker.DotNet;
using Docker.DotNet.Models;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace DeepRecall.Tests.Hosting;

public sealed class DockerHostTests
{
    private const string Label = "deeprecall-hosting-test";

    private static CancellationToken Token => Services.Token;

    [Fact]
    public async Task HostThatStopsInARequest_LeavesNoContainer()
    {
        var endpoint = Environment.GetEnvironmentVariable("DEEPRECALL_TEST_DOCKER_HOST");
        Assert.SkipWhen(string.IsNullOrEmpty(endpoint), Environment.GetEnvironmentVariable("DEEPRECALL_TEST_DOCKER_SKIP") ?? "no Docker engine was started for the tests");
        var mine = Guid.NewGuid().ToString("N");
        using var asked = new SemaphoreSlim(0);
        using var never = new SemaphoreSlim(0);
        var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Logging.ClearProviders();
        builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromSeconds(12));
        builder.Services.AddDeepRecall(options =>
        {
            options.Backend = "main";
            options.Environment = "docker";
            options.Environments["docker"] = new EnvironmentOptions
            {
                Docker = { Endpoint = endpoint, Labels = { [Label] = mine } },
                Pool = { Size = 1 },
            };
            if (Environment.GetEnvironmentVariable("DEEPRECALL_TEST_DOCKER_IMAGE") is { Length: > 0 } image)
            {
                options.Environments["docker"].Docker.Image = image;
            }
        }).WithModel("main", new ScriptedChatClient(async (request, token) =>
        {
            if (request.Turn == 0)
            {
                return new ChatResponse(new ChatMessage(ChatRole.Assistant, Script.Code("x = len(context)")));
            }

            asked.Release();
            await never.WaitAsync(token);
            return new ChatResponse();
        }));
        using var host = builder.Build();
        using var engine = new DockerClientBuilder().WithEndpoint(new Uri(endpoint!)).Build();
        await host.StartAsync(Token);
        var running = host.Services.GetRequiredService<IChatClient>().GetResponseAsync(Script.About("text"), cancellationToken: Token);
        await asked.WaitAsync(Token);
        Assert.NotEmpty(await ContainersAsync());

        await host.StopAsync(Token);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        Assert.Empty(await ContainersAsync());

        async Task<IList<ContainerListResponse>> ContainersAsync() => await engine.Containers.ListContainersAsync(
            new ContainersListParameters { All = true, Filters = new Dictionary<string, IDictionary<string, bool>> { ["label"] = new Dictionary<string, bool> { [$"{Label}={mine}"] = true } } },
            Token);
    }
}
