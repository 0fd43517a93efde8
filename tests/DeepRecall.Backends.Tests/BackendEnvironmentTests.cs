using Microsoft.Extensions.AI;

namespace DeepRecall.Backends.Tests;

/// <summary>The real environment of the process, as the public door reads it.</summary>
[Collection(EnvironmentTests.Name)]
public sealed class BackendEnvironmentTests : OpenAIEmulatorTest
{
    [Theory]
    [InlineData(BackendNames.OpenAI, "OPENAI_API_KEY", "Authorization", "Bearer ")]
    [InlineData(BackendNames.AzureOpenAI, "AZURE_OPENAI_API_KEY", "api-key", "")]
    [InlineData(BackendNames.Portkey, "PORTKEY_API_KEY", "x-portkey-api-key", "")]
    [InlineData(BackendNames.OpenRouter, "OPENROUTER_API_KEY", "Authorization", "Bearer ")]
    [InlineData(BackendNames.Vllm, "VLLM_API_KEY", "Authorization", "Bearer ")]
    [InlineData(BackendNames.LiteLlm, "LITELLM_API_KEY", "Authorization", "Bearer ")]
    [InlineData(BackendNames.Vercel, "AI_GATEWAY_API_KEY", "Authorization", "Bearer ")]
    [InlineData(BackendNames.Vercel, "PORTKEY_API_KEY", "x-portkey-api-key", "")]
    public async Task KeyInTheEnvironment_IsTheOneThatIsSent(string provider, string variable, string header, string scheme)
    {
        var options = OptionsOf(provider);
        options.ApiKey = null;
        IChatClient client;
        using (new EnvironmentScope((variable, "from-environment")))
        {
            client = Backend.CreateChatClient(options);
        }

        using (client)
        {
            await client.GetResponseAsync("Hi?", cancellationToken: Token);
        }

        Assert.Equal($"{scheme}from-environment", Assert.Single(Emulator.Requests).Headers[header]);
    }

    [Fact]
    public async Task Environment_IsReadWhenTheClientIsMade_NeitherBeforeNorAfter()
    {
        var options = OptionsOf();
        options.ApiKey = null;
        using var environment = new EnvironmentScope(("OPENAI_API_KEY", "first"));
        using var first = Backend.CreateChatClient(options);
        Environment.SetEnvironmentVariable("OPENAI_API_KEY", "second");
        using var second = Backend.CreateChatClient(options);
        Environment.SetEnvironmentVariable("OPENAI_API_KEY", "third");

        await first.GetResponseAsync("Hi?", cancellationToken: Token);
        await second.GetResponseAsync("Hi?", cancellationToken: Token);

        Assert.Equal(["Bearer first", "Bearer second"], Emulator.Requests.Select(request => request.Headers["Authorization"]));
    }

    [Fact]
    public async Task AzuresAddressAndVersionInTheEnvironment_AreUsed()
    {
        var options = OptionsOf(BackendNames.AzureOpenAI);
        options.BaseUrl = null;
        using var environment = new EnvironmentScope(("AZURE_OPENAI_ENDPOINT", Emulator.Url), ("AZURE_OPENAI_API_VERSION", "2024-10-21"));
        using var client = Backend.CreateChatClient(options);

        await client.GetResponseAsync("Hi?", cancellationToken: Token);

        var request = Assert.Single(Emulator.Requests);
        Assert.Equal("/openai/deployments/model-a/chat/completions", request.Path);
        Assert.Equal("?api-version=2024-10-21", request.Query);
    }

    [Fact]
    public void MissingKey_IsRefusedByThePublicDoor()
    {
        using var environment = new EnvironmentScope();
        var error = Assert.Throws<ArgumentException>(() => Backend.CreateChatClient(new BackendOptions { Provider = BackendNames.OpenAI, ModelName = "model" }));
        Assert.Contains("OPENAI_API_KEY", error.Message, StringComparison.Ordinal);
    }
}
