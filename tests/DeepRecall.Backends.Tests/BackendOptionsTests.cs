using Microsoft.Extensions.AI;

namespace DeepRecall.Backends.Tests;

public sealed class BackendOptionsTests : OpenAIEmulatorTest
{
    [Fact]
    public async Task ChangesAfterTheClientIsMade_HaveNoEffect()
    {
        var options = OptionsOf();
        options.Temperature = 0.5f;
        options.Headers["x-own"] = "before";
        using var client = Backend.CreateChatClient(options);
        options.Temperature = 1;
        options.ModelName = "model-b";
        options.Headers["x-own"] = "after";

        await client.GetResponseAsync("Hi?", cancellationToken: Token);

        var request = Assert.Single(Emulator.Requests);
        Assert.Equal(0.5, request.Json.GetProperty("temperature").GetDouble());
        Assert.Equal("model-a", request.Json.GetProperty("model").GetString());
        Assert.Equal("before", request.Headers["x-own"]);
    }

    [Fact]
    public void Clone_HasEveryProperty()
    {
        var options = new BackendOptions
        {
            Name = "n",
            Provider = "p",
            ModelName = "m",
            ApiKey = "k",
            BaseUrl = "b",
            ApiVersion = "v",
            VirtualKey = "vk",
            Organization = "o",
            Timeout = TimeSpan.FromSeconds(1),
            MaxRetries = 1,
            Temperature = 1,
            TopP = 1,
            MaxOutputTokens = 1,
            Seed = 1,
            ReasoningEffort = ReasoningEffort.High,
            RetryBaseDelay = TimeSpan.FromSeconds(2),
            Pricing = new BackendPricing { InputPerMillion = 1, OutputPerMillion = 2, CachedInputPerMillion = 3 },
            Headers = { ["h"] = "x" },
        };

        Assert.Equivalent(options, options.Clone(), strict: true);
        Assert.NotSame(options.Pricing, options.Clone().Pricing);
    }

    [Fact]
    public async Task WhatTheRequestSets_WinsOverTheEntrysSampling()
    {
        var options = OptionsOf();
        options.Temperature = 0.5f;
        options.MaxOutputTokens = 100;
        options.Seed = 1;
        options.ReasoningEffort = ReasoningEffort.Low;
        using var client = Backend.CreateChatClient(options);
        var own = new ChatOptions { Temperature = 0, Reasoning = new ReasoningOptions { Effort = ReasoningEffort.High }, ModelId = "model-b" };

        await client.GetResponseAsync("Hi?", own, Token);

        var body = Assert.Single(Emulator.Requests).Json;
        Assert.Equal(0, body.GetProperty("temperature").GetDouble());
        Assert.Equal("high", body.GetProperty("reasoning_effort").GetString());
        Assert.Equal("model-b", body.GetProperty("model").GetString());
        Assert.Equal(100, body.GetProperty("max_completion_tokens").GetInt32());
        Assert.Equal(1, body.GetProperty("seed").GetInt64());
        Assert.Null(own.MaxOutputTokens);
    }
}
