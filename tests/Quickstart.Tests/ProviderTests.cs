using DeepRecall.Testing;

namespace Quickstart.Tests;

/// <summary>With a provider: what goes over the wire, and what must not be seen.</summary>
public class ProviderTests
{
    private const string Key = "sk-test-5e1f0c77-very-secret";

    [Fact]
    public async Task OpenAI_TheRootModelIsStreamed_AndTheSubModelIsAsked()
    {
        await using var server = await FakeOpenAI.StartAsync(Reply);

        var result = await QuickstartProcess.RunAsync(
            ["--context", "-", "What is the word?"],
            new Dictionary<string, string> { ["OPENAI_API_KEY"] = Key, ["OPENAI_BASE_URL"] = server.BaseUrl },
            input: "12345");

        Assert.Equal((0, string.Empty), (result.ExitCode, result.Errors));
        Assert.StartsWith("The word is pineapple, of 5 characters.", result.Answer, StringComparison.Ordinal);
        Assert.Contains("I ask the other model.\n", result.Output, StringComparison.Ordinal);
        Assert.Contains("Turns: 2, model calls: 3, tokens: 3,000 in and 300 out", result.Output, StringComparison.Ordinal);
        Assert.Equal([("gpt-4o", true), ("gpt-4o-mini", false), ("gpt-4o", true)], server.Requests.Select(request => (request.Model, request.IsStreamed)));
        Assert.All(server.Requests, request => Assert.Equal($"Bearer {Key}", request.Authorization));
        Assert.DoesNotContain(Key, result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Configuration_ChoosesBackends()
    {
        await using var server = await FakeOpenAI.StartAsync(Reply);

        var result = await QuickstartProcess.RunAsync(["What is the word?"], new Dictionary<string, string>
        {
            ["DeepRecall__Backend"] = "openai",
            ["DeepRecall__OtherBackends__0"] = "mini",
            ["DeepRecall__Backends__openai__ModelName"] = "large",
            ["DeepRecall__Backends__openai__ApiKey"] = Key,
            ["DeepRecall__Backends__openai__BaseUrl"] = server.BaseUrl,
            ["DeepRecall__Backends__mini__Provider"] = "openai",
            ["DeepRecall__Backends__mini__ModelName"] = "small",
            ["DeepRecall__Backends__mini__ApiKey"] = "another key",
            ["DeepRecall__Backends__mini__BaseUrl"] = server.BaseUrl,
        });

        Assert.Equal((0, string.Empty), (result.ExitCode, result.Errors));
        Assert.StartsWith("The word is pineapple", result.Answer, StringComparison.Ordinal);
        Assert.Equal(["large", "small", "large"], server.Requests.Select(request => request.Model));
        Assert.Equal("Bearer another key", server.Requests.ElementAt(1).Authorization);
    }

    [Fact]
    public async Task ErrorThatRepeatsTheKey_IsOneLineWithoutIt()
    {
        await using var server = await FakeOpenAI.StartAsync(_ => null);

        var result = await QuickstartProcess.RunAsync(
            ["Why?"],
            new Dictionary<string, string> { ["OPENAI_API_KEY"] = Key, ["OPENAI_BASE_URL"] = server.BaseUrl });

        Assert.Equal(1, result.ExitCode);
        Assert.Contains("wrong key: Bearer ***", result.ErrorLine, StringComparison.Ordinal);
        Assert.DoesNotContain(Key, result.Output + result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunThatFailsLater_ShowsThePartialAnswerAndTheUsage()
    {
        await using var server = await FakeOpenAI.StartAsync(request => request.Roles.Contains("assistant")
            ? null
            : "```repl\nanswer[\"content\"] = \"half of it\"\n```");

        var result = await QuickstartProcess.RunAsync(
            ["Why?"],
            new Dictionary<string, string> { ["OPENAI_API_KEY"] = Key, ["OPENAI_BASE_URL"] = server.BaseUrl });

        Assert.Equal(1, result.ExitCode);
        Assert.Contains("\nPartial answer\nhalf of it\n", result.Output, StringComparison.Ordinal);
        Assert.Contains("Turns: 1, model calls: 1, tokens: 1,000 in and 100 out", result.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("DeepRecall:Backend is 'nobody', which is no entry of DeepRecall:Backends and no key of a registered IChatClient", "DeepRecall__Backend", "nobody")]
    [InlineData("DeepRecall:Backends:x:Provider is not set, and the key 'x' is no provider; it must be one of openai, anthropic", "DeepRecall__Backend", "x", "DeepRecall__Backends__x__ModelName", "m")]
    [InlineData("DeepRecall:Backends:openai:ApiKey is not set; set it, or the environment variable OPENAI_API_KEY", "DeepRecall__Backend", "openai", "DeepRecall__Backends__openai__ModelName", "m")]
    [InlineData("DeepRecall:Backends:openai:BaseUrl is 'loopback'; it must be an absolute http or https address", "OPENAI_API_KEY", "k", "OPENAI_BASE_URL", "loopback")]
    public async Task SettingsThatDoNotFit_AreNamed(string problem, params string[] settings)
    {
        var result = await QuickstartProcess.RunAsync(["Why?"], settings.Chunk(2).ToDictionary(pair => pair[0], pair => pair[1]));

        Assert.Equal(1, result.ExitCode);
        Assert.StartsWith($"Failed: {problem}", result.ErrorLine, StringComparison.Ordinal);
    }

    private static string Reply(FakeRequest request) => request switch
    {
        { IsStreamed: false } => "pineapple",
        { Roles: var roles } when !roles.Contains("assistant") => "I ask the other model.\n\n```repl\nword = llm_query(\"Say a word.\")\nprint(word)\n```",
        _ => "```repl\nanswer[\"content\"] = f\"The word is {word}, of {len(context)} characters.\"\nanswer[\"ready\"] = True\n```",
    };
}
