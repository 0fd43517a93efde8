using System.ClientModel;
using System.Text.Json;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Testing.Emulators;
using DeepRecall.Trajectory;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace DeepRecall.Backends.Tests;

/// <summary>Keys are shown nowhere, also when a provider echoes them in its errors.</summary>
[Collection(EnvironmentTests.Name)]
public sealed class SecretsTests : OpenAIEmulatorTest
{
    // '+', '/' and '=' occur in keys, and JSON may escape them.
    private const string SecretKey = "sk-secret+key/0123456789==";
    private const string SecretVirtualKey = "sk-secret+key/0123456789==-tail";
    private const string SecretHeader = "header-secret-0123456789";

    // What is left of a key when a part of it was hidden shows here too.
    private static readonly string[] Telltales = ["0123456789", "secret+key", @"secret\u002Bkey", "-tail"];

    public static TheoryData<string, bool> Providers
    {
        get
        {
            var data = new TheoryData<string, bool>();
            foreach (var provider in new[] { BackendNames.OpenAI, BackendNames.AzureOpenAI, BackendNames.Portkey, BackendNames.OpenRouter, BackendNames.Vllm, BackendNames.LiteLlm, BackendNames.Vercel })
            {
                data.Add(provider, false);
                data.Add(provider, true);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Providers))]
    public async Task Keys_AreInNoLogAndNoException(string provider, bool streamed)
    {
        await using var services = new ServiceCollection()
            .AddHttpClient()
            .AddLogging(logging => logging.SetMinimumLevel(LogLevel.Trace).AddFakeLogging())
            .BuildServiceProvider();
        Emulator.FailNext(Echo(503, provider));
        Emulator.FailNext(new Fault(FaultKind.CutConnection));
        Emulator.FailNext(Echo(401, provider));
        using var client = Backend.CreateChatClient(SecretOptions(provider), services);

        var error = await Assert.ThrowsAsync<ClientResultException>(() => AskAsync(client, streamed));
        await AskAsync(client, streamed);

        Assert.Contains("***", error.Message, StringComparison.Ordinal);
        AssertNoSecret(error.ToString());
        AssertNoSecret(error.GetRawResponse()!.Content.ToString());
        var logs = services.GetFakeLogCollector().GetSnapshot();
        Assert.Equal(2, logs.Count(log => log.Category == "DeepRecall.Backends" && log.Level == LogLevel.Warning));
        Assert.Contains(logs, log => log.Category!.StartsWith("System.Net.Http.HttpClient.DeepRecall.", StringComparison.Ordinal) && log.Level == LogLevel.Trace);
        Assert.All(logs, log =>
        {
            AssertNoSecret(log.Message);
            AssertNoSecret(string.Join(' ', log.StructuredState?.Select(pair => pair.Value) ?? []));
            AssertNoSecret(log.Exception?.ToString() ?? string.Empty);
        });
    }

    [Theory]
    [InlineData(@"sk-secret+key/0123456789==")]
    [InlineData(@"sk-secret\u002Bkey/0123456789==")]
    [InlineData(@"sk-secret+key\/0123456789==")]
    public async Task KeyInAnError_IsHidden_HoweverJsonWritesIt(string written)
    {
        Emulator.FailNext(new Fault(FaultKind.Status) { Status = 401, Body = $$$"""{"error":{"message":"Wrong key: {{{written}}}.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}""" });
        using var client = Backend.CreateChatClient(SecretOptions(BackendNames.OpenAI));

        var error = await Assert.ThrowsAsync<ClientResultException>(() => AskAsync(client, streamed: false));

        Assert.Contains("Wrong key: ***.", error.Message, StringComparison.Ordinal);
        AssertNoSecret(error.ToString());
    }

    [Fact]
    public void Keys_AreInNoText()
    {
        var options = SecretOptions(BackendNames.Portkey);
        options.Name = "mini";

        Assert.Equal("mini (portkey, model-a)", options.ToString());
        Assert.Equal("mini (portkey, model-a)", BackendSettings.Resolve(options, _ => null).ToString());
    }

    [Fact]
    public async Task Keys_ReachNeitherTheSandboxNorTheTrajectory()
    {
        using var environment = new EnvironmentScope(("PORTKEY_API_KEY", SecretKey), ("OPENAI_API_KEY", SecretKey));
        Emulator.Reply = request => request.Json.GetProperty("messages").GetArrayLength() == 2
            ? """
              ```repl
              import os
              told = llm_query("Hi?")
              print(told, dict(os.environ))
              ```
              """
            : """
              ```repl
              answer["content"] = told + str(dict(os.environ))
              answer["ready"] = True
              ```
              """;
        var options = SecretOptions(BackendNames.Portkey);
        options.ApiKey = null;
        using var root = Backend.CreateChatClient(options);
        options.Name = "cheap";
        await using var failing = new OpenAIEmulator();
        await failing.StartAsync();
        failing.FailNext(Echo(401, BackendNames.Portkey));
        options.BaseUrl = failing.Url;
        using var cheap = Backend.CreateChatClient(options);
        using var client = new DeepRecallChatClient(root, new DeepRecallOptions { Sandbox = new LocalSandbox(), SubClients = { new SubClient("cheap", cheap) } });

        var response = await AskAsync(client, streamed: false);

        Assert.Contains("Error: HTTP 401", response.Text, StringComparison.Ordinal);
        Assert.Contains("PATH", response.Text, StringComparison.Ordinal);
        AssertNoSecret(response.Text);
        AssertNoSecret(JsonSerializer.Serialize(response.GetTrajectory()));
        Assert.All(Emulator.Requests, request => AssertNoSecret(request.Body));
    }

    [Fact]
    public async Task Keys_AreNotInTheTrajectoryOfARunThatFails()
    {
        Emulator.FailNext(Echo(401, BackendNames.OpenAI));
        using var root = Backend.CreateChatClient(SecretOptions(BackendNames.OpenAI));
        using var client = new DeepRecallChatClient(root, new DeepRecallOptions { Sandbox = new LocalSandbox() });

        var error = await Assert.ThrowsAsync<ClientResultException>(() => AskAsync(client, streamed: false));

        Assert.Equal(BackendErrorKind.Authentication, error.GetBackendErrorKind());
        AssertNoSecret(error.ToString());
        AssertNoSecret(JsonSerializer.Serialize(error.GetTrajectory()));
    }

    /// <summary>An error that shows all the secrets that it was sent.</summary>
    private static Fault Echo(int status, string provider) => new(FaultKind.Status)
    {
        Status = status,
        Message = $"Wrong keys: {(HasVirtualKey(provider) ? SecretVirtualKey : string.Empty)} {SecretKey} {SecretHeader}",
    };

    private static bool HasVirtualKey(string provider) => provider is BackendNames.Portkey or BackendNames.Vercel;

    private static void AssertNoSecret(string text) =>
        Assert.All(Telltales, telltale => Assert.DoesNotContain(telltale, text, StringComparison.Ordinal));

    private BackendOptions SecretOptions(string provider)
    {
        var options = OptionsOf(provider);
        options.ApiKey = SecretKey;
        options.VirtualKey = HasVirtualKey(provider) ? SecretVirtualKey : null;
        options.Headers["x-gateway-token"] = SecretHeader;
        return options;
    }
}
