using DeepRecall.Testing;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;

namespace DeepRecall.Tests;

public sealed class ReloadTests
{
    private readonly IConfigurationRoot _configuration = new ConfigurationBuilder()
        .AddInMemoryCollection(new Dictionary<string, string?> { ["DeepRecall:Backend"] = "first", ["DeepRecall:MaxIterations"] = "5" })
        .Build();
    private readonly FakeLogCollector _logs = new();
    private readonly ServiceCollection _services = new();

    public ReloadTests() => _services.AddLogging(logging => logging.AddProvider(new FakeLoggerProvider(_logs)));

    private static CancellationToken Token => Services.Token;

    [Fact]
    public async Task Change_IsForTheNextRequest_AndNotForTheOneThatRuns()
    {
        using var asked = new SemaphoreSlim(0);
        using var goOn = new SemaphoreSlim(0);
        var first = new ScriptedChatClient(async (request, token) =>
        {
            asked.Release();
            await goOn.WaitAsync(token);
            return new ChatResponse(new ChatMessage(ChatRole.Assistant, Script.Answer("'first'")));
        });
        _services.AddDeepRecall(_configuration.Section()).WithModel("first", first).WithModel("second", Services.Answering("second"));
        await using var provider = _services.BuildServiceProvider();
        var client = provider.GetRequiredService<IChatClient>();
        var running = client.GetResponseAsync(Script.About("text"), cancellationToken: Token);
        await asked.WaitAsync(Token);

        Change("DeepRecall:Backend", "second");

        Assert.Equal("second", (await client.GetResponseAsync(Script.About("text"), cancellationToken: Token)).Text);
        goOn.Release();
        Assert.Equal("first", (await running).Text);
    }

    [Fact]
    public async Task ChangeThatIsNotValid_LeavesTheOptionsBeforeIt_AndIsLoggedOnce()
    {
        _services.AddDeepRecall(_configuration.Section()).WithModel("first", Services.Answering("first")).WithModel("second", Services.Answering("second"));
        await using var provider = _services.BuildServiceProvider();
        var client = provider.GetRequiredService<IChatClient>();
        await client.GetResponseAsync(Script.About("text"), cancellationToken: Token);

        Change("DeepRecall:MaxIterations", "0");
        Assert.Equal("first", (await client.GetResponseAsync(Script.About("text"), cancellationToken: Token)).Text);
        Assert.Equal("first", (await client.GetResponseAsync(Script.About("text"), cancellationToken: Token)).Text);
        var logged = Assert.Single(_logs.GetSnapshot(), record => record.Level == LogLevel.Error);
        Assert.Contains("DeepRecall:MaxIterations is 0", logged.Message, StringComparison.Ordinal);

        Change("DeepRecall:MaxIterations", "3", ("DeepRecall:Backend", "second"));
        Assert.Equal("second", (await client.GetResponseAsync(Script.About("text"), cancellationToken: Token)).Text);
    }

    [Fact]
    public async Task ChangeOfAnEnvironment_IsForTheNextRequest_AndItsIdleProcessesEnd()
    {
        using var scratch = new ScratchRoot();
        using var other = new ScratchRoot();
        _configuration["DeepRecall:Environments:local:ScratchRoot"] = scratch.Path;
        _services.AddDeepRecall(_configuration.Section()).WithModel("first", new ScriptedChatClient(Script.Code("import os\nFINAL(os.getcwd())")));
        await using var provider = _services.BuildServiceProvider();
        var client = provider.GetRequiredService<IChatClient>();
        Assert.StartsWith(scratch.Path, (await client.GetResponseAsync(Script.About("text"), cancellationToken: Token)).Text, StringComparison.Ordinal);

        Change("DeepRecall:Environments:local:ScratchRoot", other.Path);

        Assert.StartsWith(other.Path, (await client.GetResponseAsync(Script.About("text"), cancellationToken: Token)).Text, StringComparison.Ordinal);
        await scratch.AssertNothingLeftAsync(Token);
    }

    [Fact]
    public async Task Conversations_OutliveAChange()
    {
        _configuration["DeepRecall:Persistent"] = "true";
        _services.AddDeepRecall(_configuration.Section()).WithModel("first", new ScriptedChatClient(request =>
            request.FirstText.Contains("again", StringComparison.Ordinal) ? Script.Answer("kept") : Script.Code("kept = 'still here'\nFINAL('first')")));
        await using var provider = _services.BuildServiceProvider();
        var client = provider.GetRequiredService<IChatClient>();
        var options = new ChatOptions { ConversationId = "c1" };
        await client.GetResponseAsync(Script.About("text"), options, Token);

        Change("DeepRecall:MaxIterations", "7");

        Assert.Equal("still here", (await client.GetResponseAsync("again", options, Token)).Text);
    }

    private void Change(string key, string value, params (string Key, string Value)[] more)
    {
        _configuration[key] = value;
        foreach (var (other, another) in more)
        {
            _configuration[other] = another;
        }

        try
        {
            _configuration.Reload();
        }
        catch (Exception error) when (error is AggregateException or Microsoft.Extensions.Options.OptionsValidationException)
        {
            // Whoever changes options by hand learns at once that they are not valid.
        }
    }
}
