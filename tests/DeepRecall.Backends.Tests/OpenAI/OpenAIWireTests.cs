using System.ClientModel;
using System.ClientModel.Primitives;
using System.Globalization;
using System.Text.Json.Nodes;
using DeepRecall.Backends.Tests.Http;
using DeepRecall.Budgets;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Testing.Emulators;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;

namespace DeepRecall.Backends.Tests.OpenAI;

/// <summary>A whole RLM completion with sub-calls, over the wire, for every backend of OpenAI's family.</summary>
public sealed class OpenAIWireTests : OpenAIEmulatorTest
{
    private const string VirtualKey = "vk-test-9876543210";

    private const string FirstReply =
        """
        I ask three things.
        ```repl
        one = llm_query("First?")
        more = llm_query_batched(["Second?", "Third?"])
        print(one, more)
        ```
        """;

    private const string SecondReply =
        """
        ```repl
        answer["content"] = "-".join([one, *more])
        answer["ready"] = True
        ```
        """;

    // Every header that any of these providers takes a secret in.
    private static readonly string[] SecretHeaders = ["Authorization", "api-key", "x-api-key", "x-goog-api-key", "x-portkey-api-key", "x-portkey-virtual-key"];

    private static readonly Dictionary<string, WireCase> Cases = new()
    {
        ["openai"] = new(BackendNames.OpenAI, "https://api.openai.com/v1/chat/completions")
        {
            Configure = options => options.Organization = "org-test",
            Headers = Bearer(("OpenAI-Organization", "org-test")),
        },
        ["azure_openai, v1"] = new(BackendNames.AzureOpenAI, "https://res.openai.azure.com/openai/v1/chat/completions")
        {
            Configure = options => options.BaseUrl = "https://res.openai.azure.com/",
            Headers = [("api-key", Key)],
        },
        ["azure_openai, v1 with a version"] = new(BackendNames.AzureOpenAI, "https://res.openai.azure.com/openai/v1/chat/completions?api-version=preview")
        {
            Configure = options =>
            {
                options.BaseUrl = "https://res.openai.azure.com/openai/v1/";
                options.ApiVersion = "preview";
            },
            Headers = [("api-key", Key)],
        },
        ["azure_openai, deployments"] = new(BackendNames.AzureOpenAI, "https://res.openai.azure.com/openai/deployments/{model}/chat/completions?api-version=2024-02-15-preview")
        {
            Configure = options =>
            {
                options.BaseUrl = "https://res.openai.azure.com/";
                options.ApiVersion = "2024-02-15-preview";
            },
            Headers = [("api-key", Key)],
        },
        ["portkey"] = new(BackendNames.Portkey, "https://api.portkey.ai/v1/chat/completions")
        {
            Configure = options => options.VirtualKey = VirtualKey,
            Headers = [("x-portkey-api-key", Key), ("x-portkey-virtual-key", VirtualKey)],
        },
        ["openrouter"] = new(BackendNames.OpenRouter, "https://openrouter.ai/api/v1/chat/completions")
        {
            Configure = options => options.Headers["HTTP-Referer"] = "https://example.com",
            Headers = Bearer(("HTTP-Referer", "https://example.com")),
            TellsCostInUsage = true,
        },
        ["vllm"] = new(BackendNames.Vllm, "http://gpu:8000/v1/chat/completions")
        {
            Configure = options =>
            {
                options.BaseUrl = "http://gpu:8000";
                options.ApiKey = null;
            },
            Headers = [("Authorization", "Bearer EMPTY")],
            HasLegacyMaxTokens = true,
        },
        ["litellm"] = new(BackendNames.LiteLlm, "http://localhost:4000/chat/completions")
        {
            Headers = Bearer(),
            TellsCostInHeader = true,
        },
        ["vercel"] = new(BackendNames.Vercel, "https://ai-gateway.vercel.sh/v1/chat/completions") { Headers = Bearer() },
        ["vercel through portkey"] = new(BackendNames.Vercel, "https://api.portkey.ai/v1/chat/completions")
        {
            Configure = options => options.VirtualKey = VirtualKey,
            Headers = [("x-portkey-api-key", Key), ("x-portkey-virtual-key", VirtualKey)],
        },
    };

    public static TheoryData<string, bool> Backends => BothForms.Of(Cases.Keys);

    [Theory]
    [MemberData(nameof(Backends))]
    public async Task WholeCompletion_IsSentAndReadAsTheProviderMeansIt(string name, bool streamed)
    {
        var wire = Cases[name];
        Emulator.Reply = ReplyTo;
        Emulator.Answer = request => AnswerTo(request, wire);
        await using var services = new ServiceCollection()
            .ConfigureHttpClientDefaults(http => http.AddHttpMessageHandler(() => new RedirectHandler(Emulator.Url)))
            .BuildServiceProvider();
        using var root = Backend.CreateChatClient(RootOptions(wire), services);
        using var cheap = Backend.CreateChatClient(CheapOptions(wire), services);
        using var client = new DeepRecallChatClient(root, new DeepRecallOptions { Sandbox = new LocalSandbox(), SubClients = { new SubClient("cheap", cheap) } });

        var response = await AskAsync(client, streamed, "What are the three?");

        Assert.Equal("1-2-3", response.Text);
        var requests = Emulator.Requests;
        Assert.Equal(5, requests.Count);
        Assert.All(requests, request => AssertAddressAndHeaders(request, wire));
        AssertRootBody(requests[0], wire, streamed);
        AssertRootBody(requests[4], wire, streamed);
        AssertRootMessages(requests[0], requests[4]);
        Assert.Equal(["First?", "Second?", "Third?"], requests.Skip(1).Take(3).Select(AssertCheapBody).Order());

        // Five calls, each of 1000 tokens in and 100 out; two of the root's price, three of the cheap one's.
        var usage = response.Usage!;
        Assert.Equal(5_000, usage.InputTokenCount);
        Assert.Equal(500, usage.OutputTokenCount);
        Assert.Equal(5_500, usage.TotalTokenCount);
        Assert.Equal(2_000, usage.CachedInputTokenCount);
        Assert.Equal(250, usage.ReasoningTokenCount);
        Assert.Equal(0.0078m, usage.GetCostUsd());
        Assert.Equal(0.0018m, response.GetTrajectory()!.Turns[0].Cells[0].Subcalls.Sum(call => call.Usage!.GetCostUsd()));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AzuresCredential_IsSentAsATokenOfEntraId_AndNoKeyIs(bool streamed)
    {
        await using var services = new ServiceCollection()
            .ConfigureHttpClientDefaults(http => http.AddHttpMessageHandler(() => new RedirectHandler(Emulator.Url)))
            .BuildServiceProvider();
        var options = OptionsOf(BackendNames.AzureOpenAI);
        (options.ApiKey, options.BaseUrl, options.Credential) = (null, "https://res.openai.azure.com", new EntraId());
        using var client = Backend.CreateChatClient(options, services);

        await AskAsync(client, streamed);

        var request = Assert.Single(Emulator.Requests);
        Assert.Equal("Bearer token for https://cognitiveservices.azure.com/.default", request.Headers["Authorization"]);
        Assert.DoesNotContain("api-key", request.Headers);
        Assert.StartsWith("https://res.openai.azure.com/openai/", request.Headers[RedirectHandler.AddressHeader], StringComparison.Ordinal);
    }

    private static (string Name, string Value)[] Bearer(params (string Name, string Value)[] others) => [("Authorization", $"Bearer {Key}"), .. others];

    private static BackendOptions RootOptions(WireCase wire)
    {
        var options = new BackendOptions
        {
            Provider = wire.Provider,
            ModelName = "root-model",
            ApiKey = Key,
            Temperature = 0.25f,
            TopP = 0.5f,
            MaxOutputTokens = 321,
            Seed = 7,
            ReasoningEffort = ReasoningEffort.Low,
            Pricing = wire.TellsCost ? null : new BackendPricing { InputPerMillion = 2, OutputPerMillion = 10 },
        };
        wire.Configure(options);
        return options;
    }

    private static BackendOptions CheapOptions(WireCase wire)
    {
        var options = new BackendOptions
        {
            Name = "cheap",
            Provider = wire.Provider,
            ModelName = "cheap-model",
            ApiKey = Key,
            Pricing = wire.TellsCost ? null : new BackendPricing { InputPerMillion = 0.5m, OutputPerMillion = 1 },
        };
        wire.Configure(options);
        return options;
    }

    private static string ReplyTo(EmulatedRequest request)
    {
        var messages = request.Json.GetProperty("messages");
        return request.Json.GetProperty("model").GetString() == "root-model"
            ? messages.GetArrayLength() == 2 ? FirstReply : SecondReply
            : messages[0].GetProperty("content").GetString() switch
            {
                "First?" => "1",
                "Second?" => "2",
                _ => "3",
            };
    }

    private static OpenAIAnswer AnswerTo(EmulatedRequest request, WireCase wire)
    {
        var cost = request.Json.GetProperty("model").GetString() == "root-model" ? 0.003m : 0.0006m;
        return new OpenAIAnswer
        {
            InputTokens = 1_000,
            OutputTokens = 100,
            CachedTokens = 400,
            ReasoningTokens = 50,
            Cost = wire.TellsCostInUsage ? cost : null,
            Headers = wire.TellsCostInHeader
                ? new Dictionary<string, string> { ["x-litellm-response-cost"] = cost.ToString(CultureInfo.InvariantCulture) }
                : new Dictionary<string, string>(),
        };
    }

    private static void AssertAddressAndHeaders(EmulatedRequest request, WireCase wire)
    {
        Assert.Equal("POST", request.Method);
        Assert.Equal(wire.Address.Replace("{model}", request.Json.GetProperty("model").GetString(), StringComparison.Ordinal), request.Headers[RedirectHandler.AddressHeader]);
        Assert.StartsWith("application/json", request.Headers["Content-Type"], StringComparison.Ordinal);
        foreach (var (header, value) in wire.Headers)
        {
            Assert.Equal(value, request.Headers[header]);
        }

        Assert.All(SecretHeaders.Except(wire.Headers.Select(header => header.Name)), header => Assert.DoesNotContain(header, request.Headers));
    }

    private static void AssertRootBody(EmulatedRequest request, WireCase wire, bool streamed)
    {
        var expected = new JsonObject
        {
            ["model"] = "root-model",
            ["temperature"] = 0.25,
            ["top_p"] = 0.5,
            ["max_completion_tokens"] = 321,
            ["seed"] = 7,
            ["reasoning_effort"] = "low",
        };
        if (wire.HasLegacyMaxTokens)
        {
            expected["max_tokens"] = 321;
        }

        if (streamed)
        {
            expected["stream"] = true;
            expected["stream_options"] = new JsonObject { ["include_usage"] = true };
        }

        AssertBody(expected, request);
    }

    private static void AssertRootMessages(EmulatedRequest first, EmulatedRequest second)
    {
        var asked = Messages(first);
        Assert.Equal(["system", "user"], asked.Select(message => message.Role));
        Assert.Contains("Question:\nWhat are the three?\n", asked[1].Content, StringComparison.Ordinal);
        var told = Messages(second);
        Assert.Equal(["system", "user", "assistant", "user"], told.Select(message => message.Role));
        Assert.Equal(asked, told.Take(2));
        Assert.Equal(FirstReply, told[2].Content);
        Assert.Contains("1 ['2', '3']", told[3].Content, StringComparison.Ordinal);
    }

    /// <summary>Sub-calls are whole and have the sampling of their own entry, which is none.</summary>
    private static string AssertCheapBody(EmulatedRequest request)
    {
        AssertBody(new JsonObject { ["model"] = "cheap-model" }, request);
        var message = Assert.Single(Messages(request));
        Assert.Equal("user", message.Role);
        return message.Content;
    }

    private static void AssertBody(JsonObject expected, EmulatedRequest request)
    {
        var body = JsonNode.Parse(request.Body)!.AsObject();
        body.Remove("messages");
        Assert.True(JsonNode.DeepEquals(expected, body), $"Expected {expected.ToJsonString()}, got {body.ToJsonString()}");
    }

    private static List<(string Role, string Content)> Messages(EmulatedRequest request) =>
        [.. request.Json.GetProperty("messages").EnumerateArray().Select(message => (message.GetProperty("role").GetString()!, message.GetProperty("content").GetString()!))];

    private sealed class EntraId : AuthenticationTokenProvider
    {
        public override GetTokenOptions? CreateTokenOptions(IReadOnlyDictionary<string, object> properties) => new(properties);

        public override AuthenticationToken GetToken(GetTokenOptions options, CancellationToken cancellationToken)
        {
            var scopes = (ReadOnlyMemory<string>)options.Properties[GetTokenOptions.ScopesPropertyName];
            return new AuthenticationToken($"token for {scopes.Span[0]}", "Bearer", DateTimeOffset.MaxValue);
        }

        public override ValueTask<AuthenticationToken> GetTokenAsync(GetTokenOptions options, CancellationToken cancellationToken) =>
            ValueTask.FromResult(GetToken(options, cancellationToken));
    }

    private sealed record WireCase(string Provider, string Address)
    {
        public Action<BackendOptions> Configure { get; init; } = _ => { };

        public required (string Name, string Value)[] Headers { get; init; }

        public bool HasLegacyMaxTokens { get; init; }

        public bool TellsCostInUsage { get; init; }

        public bool TellsCostInHeader { get; init; }

        public bool TellsCost => TellsCostInUsage || TellsCostInHeader;
    }
}
