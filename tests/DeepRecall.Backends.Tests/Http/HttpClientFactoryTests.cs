using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;

namespace DeepRecall.Backends.Tests.Http;

/// <summary>The application's named HTTP client is the one that a backend goes through.</summary>
public sealed class HttpClientFactoryTests : OpenAIEmulatorTest
{
    [Fact]
    public async Task HandlersOfTheEntrysClient_SeeItsRequests_AndOnlyIts()
    {
        var openai = new ConcurrentQueue<string>();
        var mini = new ConcurrentQueue<string>();
        var services = new ServiceCollection();
        services.AddHttpClient("DeepRecall.openai").AddHttpMessageHandler(() => new Recorder(openai));
        services.AddHttpClient("DeepRecall.mini").AddHttpMessageHandler(() => new Recorder(mini));
        await using var provider = services.BuildServiceProvider();
        var named = OptionsOf();
        named.Name = "mini";
        using var first = Backend.CreateChatClient(OptionsOf(), provider);
        using var second = Backend.CreateChatClient(named, provider);

        await AskAsync(first, streamed: false);
        await AskAsync(second, streamed: true);
        await AskAsync(second, streamed: false);

        Assert.Equal(["/v1/chat/completions"], openai);
        Assert.Equal(["/v1/chat/completions", "/v1/chat/completions"], mini);
        Assert.All(Emulator.Requests, request => Assert.Equal($"Bearer {Key}", request.Headers["Authorization"]));
    }

    [Fact]
    public async Task ServicesWithoutAFactory_AreFine()
    {
        await using var services = new ServiceCollection().BuildServiceProvider();
        using var client = Backend.CreateChatClient(OptionsOf(), services);

        Assert.Equal("ok", (await AskAsync(client, streamed: false)).Text);
    }

    private sealed class Recorder(ConcurrentQueue<string> seen) : DelegatingHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            // Keys are put on below the application's handlers.
            Assert.Null(request.Headers.Authorization);
            seen.Enqueue(request.RequestUri!.AbsolutePath);
            return base.SendAsync(request, cancellationToken);
        }
    }
}
