using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace DeepRecall.Tests.Hosting;

public sealed class HostTests
{
    private static CancellationToken Token => Services.Token;

    [Fact]
    public async Task OptionsThatAreNotValid_StopTheHostFromStarting()
    {
        using var host = Build(services => services.AddDeepRecall(o => o.MaxDepth = 0));

        var error = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync(Token));

        Assert.Contains(error.Failures, failure => failure.StartsWith("DeepRecallServiceOptions:MaxDepth is 0", StringComparison.Ordinal));
        Assert.Contains(error.Failures, failure => failure.StartsWith("DeepRecallServiceOptions:Backend is not set", StringComparison.Ordinal));
    }

    [Fact]
    public async Task IdleProcesses_ComeAndGoWithTheHost()
    {
        using var scratch = new ScratchRoot();
        using var host = Build(services => services
            .AddDeepRecall(o =>
            {
                o.Backend = "main";
                o.Environments["local"] = new EnvironmentOptions { Local = { ScratchRoot = scratch.Path }, Pool = { Size = 2 } };
            })
            .WithModel("main", Services.Answering("yes")));

        await host.StartAsync(Token);
        var deadline = Environment.TickCount64 + 60_000;
        while (Directory.EnumerateDirectories(scratch.Path, "scratch-*", SearchOption.AllDirectories).Count() < 2 && Environment.TickCount64 < deadline)
        {
            await Task.Delay(20, Token);
        }

        Assert.Equal(2, Directory.EnumerateDirectories(scratch.Path, "scratch-*", SearchOption.AllDirectories).Count());

        await host.StopAsync(Token);
        await scratch.AssertNothingLeftAsync(Token);
    }

    [Fact]
    public async Task EnvironmentThatCannotStart_DoesNotStopTheHost()
    {
        using var host = Build(services => services
            .AddDeepRecall(o =>
            {
                o.Backend = "main";
                o.Environments["local"] = new EnvironmentOptions { Local = { PythonPath = "/no/such/python" }, Pool = { Size = 1 } };
            })
            .WithModel("main", Services.Answering("yes")));

        await host.StartAsync(Token);
        await Assert.ThrowsAsync<Sandboxing.SandboxException>(() => host.Services.GetRequiredService<IChatClient>().GetResponseAsync(Script.About("text"), cancellationToken: Token));
        await host.StopAsync(Token);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task RequestThatEndsInTime_IsWaitedFor(bool streamed)
    {
        using var asked = new SemaphoreSlim(0);
        using var goOn = new SemaphoreSlim(0);
        using var host = Build(services => services.AddDeepRecall(o => o.Backend = "main").WithModel("main", Waiting(asked, goOn)));
        await host.StartAsync(Token);
        var running = AskAsync(host, streamed);
        await asked.WaitAsync(Token);

        var stopping = host.StopAsync(Token);
        await Task.Delay(100, Token);
        Assert.False(stopping.IsCompleted);
        goOn.Release();
        await stopping;

        Assert.Equal("done", (await running).Text);
        await Assert.ThrowsAsync<InvalidOperationException>(() => AskAsync(host, streamed));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task RequestThatDoesNotEnd_IsCancelledInTime_AndLeavesNothing(bool streamed)
    {
        using var scratch = new ScratchRoot();
        using var asked = new SemaphoreSlim(0);
        using var never = new SemaphoreSlim(0);
        using var host = Build(
            services => services
                .AddDeepRecall(o =>
                {
                    o.Backend = "main";
                    o.Environments["local"] = new EnvironmentOptions { Local = { ScratchRoot = scratch.Path } };
                })
                .WithModel("main", Waiting(asked, never)),
            shutdown: TimeSpan.FromSeconds(6));
        await host.StartAsync(Token);
        var running = AskAsync(host, streamed);
        await asked.WaitAsync(Token);

        await host.StopAsync(Token);

        var error = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        Assert.Equal(StopReason.Cancelled, error.GetTrajectory()!.StopReason);
        await scratch.AssertNothingLeftAsync(Token);
    }

    private static ScriptedChatClient Waiting(SemaphoreSlim asked, SemaphoreSlim goOn) => new(async (request, token) =>
    {
        asked.Release();
        await goOn.WaitAsync(token);
        return new ChatResponse(new ChatMessage(ChatRole.Assistant, Script.Answer("'done'")));
    });

    private static async Task<ChatResponse> AskAsync(IHost host, bool streamed)
    {
        var client = host.Services.GetRequiredService<IChatClient>();
        return streamed
            ? await client.GetStreamingResponseAsync(Script.About("text"), cancellationToken: Token).ToChatResponseAsync(Token)
            : await client.GetResponseAsync(Script.About("text"), cancellationToken: Token);
    }

    private static IHost Build(Action<IServiceCollection> register, TimeSpan? shutdown = null)
    {
        var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Logging.ClearProviders();
        register(builder.Services);
        builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = shutdown ?? TimeSpan.FromSeconds(30));
        return builder.Build();
    }
}
