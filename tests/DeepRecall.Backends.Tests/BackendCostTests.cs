using System.Globalization;
using DeepRecall.Budgets;
using DeepRecall.Testing.Emulators;
using Microsoft.Extensions.AI;

namespace DeepRecall.Backends.Tests;

/// <summary>What a response cost, and who says so.</summary>
public sealed class BackendCostTests : OpenAIEmulatorTest
{
    private const string LiteLlmHeader = "x-litellm-response-cost";

    // 1000 tokens in (400 of them cached) and 100 out.
    private static readonly OpenAIAnswer Answer = new() { InputTokens = 1_000, CachedTokens = 400, OutputTokens = 100 };

    private static readonly Dictionary<string, CostCase> Cases = new()
    {
        ["the usage's cost"] = new(Answer with { Cost = 0.0123m }, Pricing: null, 0.0123m),
        ["the usage's cost, before the upstream's"] = new(Answer with { Cost = 0.0123m, UpstreamCost = 0.5m }, Pricing: null, 0.0123m),
        ["the upstream's cost, for a key of one's own"] = new(Answer with { Cost = 0, UpstreamCost = 0.0456m }, Pricing: null, 0.0456m),
        ["the upstream's cost alone"] = new(Answer with { UpstreamCost = 0.0456m }, Pricing: null, 0.0456m),
        ["a free model"] = new(Answer with { Cost = 0 }, Pricing: null, 0),
        ["the usage's cost, before pricing"] = new(Answer with { Cost = 0.0123m }, new BackendPricing { InputPerMillion = 100 }, 0.0123m),
        ["a header"] = new(Answer with { Headers = Header("0.00789") }, Pricing: null, 0.00789m),
        ["a header in scientific notation"] = new(Answer with { Headers = Header("1.5e-05") }, Pricing: null, 0.000015m),
        ["a header, before pricing"] = new(Answer with { Headers = Header("0.00789") }, new BackendPricing { InputPerMillion = 100 }, 0.00789m),
        ["a header without usage"] = new(Answer with { HasUsage = false, Headers = Header("0.00789") }, Pricing: null, 0.00789m),
        ["a header without usage, before pricing"] = new(Answer with { HasUsage = false, Headers = Header("0.00789") }, new BackendPricing { InputPerMillion = 100 }, 0.00789m),
        ["a header that is no number"] = new(Answer with { Headers = Header("None") }, Pricing: null, Cost: null),
        ["a header that is no number, then pricing"] = new(Answer with { Headers = Header("None") }, new BackendPricing { OutputPerMillion = 10 }, 0.001m),
        ["pricing"] = new(Answer, new BackendPricing { InputPerMillion = 2, OutputPerMillion = 10 }, 0.003m),
        ["pricing with cached input"] = new(Answer, new BackendPricing { InputPerMillion = 2, OutputPerMillion = 10, CachedInputPerMillion = 0.5m }, 0.0024m),
        ["pricing of free cached input"] = new(Answer, new BackendPricing { InputPerMillion = 2, OutputPerMillion = 10, CachedInputPerMillion = 0 }, 0.0022m),
        ["pricing without usage"] = new(Answer with { HasUsage = false }, new BackendPricing { InputPerMillion = 2 }, Cost: null),
        ["nothing"] = new(Answer, Pricing: null, Cost: null),
    };

    public static TheoryData<string, bool> Costs => BothForms.Of(Cases.Keys);

    [Fact]
    public void WhatTheOptionsSayOfTheModel_IsAServiceOfTheClient()
    {
        var options = OptionsOf();
        options.Pricing = new BackendPricing { InputPerMillion = 2, OutputPerMillion = 10, CachedInputPerMillion = 0.5m };
        options.ContextWindow = 32_000;
        options.MaxOutputTokens = 900;
        using var client = Backend.CreateChatClient(options);

        var expected = new ModelInfo { Pricing = new ModelPricing(2, 10) { CachedInputPerMillion = 0.5m }, ContextWindow = 32_000, MaxOutputTokens = 900 };
        Assert.Equal(expected, client.GetService<ModelInfo>());
    }

    [Theory]
    [MemberData(nameof(Costs))]
    public async Task Cost_IsWhatTheProviderTells_ElseWhatThePricesMake(string name, bool streamed)
    {
        var (answer, pricing, cost) = Cases[name];
        Emulator.Answer = _ => answer;
        var options = OptionsOf();
        options.Pricing = pricing;
        using var client = Backend.CreateChatClient(options);

        var response = await AskAsync(client, streamed);

        Assert.Equal(cost, response.Usage?.GetCostUsd());
        if (!streamed)
        {
            Assert.Equal(cost, response.AdditionalProperties?.GetValueOrDefault(UsageCostExtensions.CostProperty));
        }

        Assert.Equal(answer.HasUsage ? 1_000 : null, response.Usage?.InputTokenCount);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task CostOfAFailedAttempt_IsNotThatOfTheResponse(bool streamed)
    {
        Emulator.ResponseHeaders[LiteLlmHeader] = "7";
        Emulator.Answer = _ => Answer with { Headers = Header("0.5") };
        Emulator.FailNext(new Fault(FaultKind.Status) { Status = 503 });
        using var client = Backend.CreateChatClient(OptionsOf(BackendNames.LiteLlm));

        Assert.Equal(0.5m, (await AskAsync(client, streamed)).Usage!.GetCostUsd());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task CostsOfCallsAtTheSameTime_AreNotMixed(bool streamed)
    {
        Emulator.Answer = request =>
        {
            var number = request.Json.GetProperty("messages")[0].GetProperty("content").GetString()!;
            return Answer with { Headers = Header(number) };
        };
        using var client = Backend.CreateChatClient(OptionsOf(BackendNames.LiteLlm));

        var numbers = Enumerable.Range(1, 50).ToArray();
        var responses = await Task.WhenAll(numbers.Select(number => AskAsync(client, streamed, number.ToString(CultureInfo.InvariantCulture))));

        Assert.Equal(numbers.Select(number => (decimal?)number), responses.Select(response => response.Usage!.GetCostUsd()));
    }

    private static Dictionary<string, string> Header(string cost) => new() { [LiteLlmHeader] = cost };

    private sealed record CostCase(OpenAIAnswer Answer, BackendPricing? Pricing, decimal? Cost);
}
