using System.Text.RegularExpressions;
using DeepRecall;
using DeepRecall.Request;
using DeepRecall.Retrieval;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxing;
using DeepRecall.Testing;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Quickstart.Tests.Readme;

public sealed partial class ReadmeTests : IDisposable
{
    private const string FirstReply = "I look.\n\n```repl\nline = [line for line in context.splitlines() if 'error' in line][0]\nword = llm_query(line)\n```";
    private const string SecondReply = "```repl\nFINAL(f'{line}: {word}')\n```";

    private readonly string _path = Path.GetTempFileName();

    public ReadmeTests() => File.WriteAllText(_path, "step 1: ok\nstep 2: error 7\n");

    public void Dispose() => File.Delete(_path);

    [Fact]
    public void EveryExample_IsOneThatIsCompiled()
    {
        var readme = Text(BuildPaths.Readme);
        var snippets = SnippetOf().Matches(Text(BuildPaths.Snippets)).ToDictionary(found => found.Groups["name"].Value, found => Unindent(found.Groups["code"].Value));

        Assert.NotEmpty(snippets);
        Assert.Equal(
            snippets.OrderBy(snippet => snippet.Key, StringComparer.Ordinal),
            BlockOf().Matches(readme).Select(found => KeyValuePair.Create(found.Groups["name"].Value, found.Groups["code"].Value.TrimEnd())).OrderBy(block => block.Key, StringComparer.Ordinal));
        Assert.Equal(snippets.Count, readme.Split("```csharp").Length - 1);
    }

    [Fact]
    public async Task AddDeepRecall_Runs()
    {
        await using var server = await FakeOpenAI.StartAsync(request => request.Roles.Contains("system")
            ? request.Roles.Contains("assistant") ? SecondReply : FirstReply
            : "disk full");
        var output = new StringWriter();

        await Snippets.AddDeepRecallAsync(
            ["--DeepRecall:Backend=openai", "--DeepRecall:Backends:openai:ModelName=gpt-4o", "--DeepRecall:Backends:openai:ApiKey=k", $"--DeepRecall:Backends:openai:BaseUrl={server.BaseUrl}"],
            _path,
            output);

        Assert.Equal("step 2: error 7: disk full\n", output.ToString().ReplaceLineEndings("\n"));
    }

    [Fact]
    public void Configuration_IsValid_AndThatOfTheCode()
    {
        var json = ConfigurationOf().Match(Text(BuildPaths.Readme)).Groups["json"].Value;
        var bound = Options(builder =>
        {
            builder.Configuration.AddJsonStream(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(json)));
            builder.Services.AddDeepRecall(builder.Configuration.GetSection("DeepRecall"));
        });
        var coded = Options(Snippets.AddDeepRecallInCode);

        Assert.Equal(Tell(coded), Tell(bound));

        static DeepRecallServiceOptions Options(Action<HostApplicationBuilder> register)
        {
            var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
            register(builder);
            builder.Services.Configure<DeepRecallServiceOptions>(options =>
            {
                foreach (var backend in options.Backends.Values)
                {
                    backend.ApiKey = "k";
                }
            });
            using var host = builder.Build();
            return host.Services.GetRequiredService<IOptions<DeepRecallServiceOptions>>().Value;
        }

        static string Tell(DeepRecallServiceOptions options) => string.Join(
            '|',
            [options.Backend, string.Join(',', options.OtherBackends), options.Environment, options.Environments["docker"].Docker.Image, options.Environments["docker"].Pool.Size,
             options.MaxIterations, options.MaxDuration, options.Backends["openai"].ModelName, options.Backends["mini"].Provider, options.Backends["mini"].ModelName]);
    }

    [Fact]
    public async Task DependencyInjection_Runs()
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        Snippets.DependencyInjection(builder, new ScriptedChatClient(FirstReply, SecondReply), new ScriptedChatClient("disk full"));
        using var host = builder.Build();

        var response = await host.Services.GetRequiredService<IChatClient>().GetResponseAsync([Question()], cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal("step 2: error 7: disk full", response.Text);
    }

    [Fact]
    public async Task Builder_RegistersWhatItSays()
    {
        var services = new ServiceCollection();
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(new Dictionary<string, string?> { ["DeepRecall:Backend"] = "own", ["DeepRecall:Environment"] = "gvisor", ["Research:Backend"] = "own" })
            .Build();
        Snippets.Builder(services, configuration);
        services.AddDistributedMemoryCache();
        await using var provider = services.BuildServiceProvider();

        Assert.Equal("docker", provider.GetRequiredKeyedService<ISandbox>("gvisor").Name);
        Assert.NotNull(provider.GetRequiredService<IChatClient>().GetService<OpenTelemetryChatClient>());
        Assert.NotNull(provider.GetRequiredKeyedService<IChatClient>("research").GetService<MyChatClient>());
    }

    [Fact]
    public void FromPython_IsValid()
    {
        var services = new ServiceCollection();
        Snippets.FromPython(services, new NoSource());
        services.Configure<DeepRecallServiceOptions>(options => options.Backends["openai"].ApiKey = options.Backends["mini"].ApiKey = "k");
        using var provider = services.BuildServiceProvider();

        Assert.Equal("e2b", provider.GetRequiredService<IOptions<DeepRecallServiceOptions>>().Value.Environment);
    }

    [Fact]
    public async Task Middleware_Runs()
    {
        var output = new StringWriter();

        await Snippets.MiddlewareAsync(new ScriptedChatClient(request => request.Messages.Count switch { 1 => "disk full", 2 => FirstReply, _ => SecondReply }), _path, output);

        Assert.Equal(
            "cell 1: Ok, 1 sub-calls\ncell 2: Ok, 0 sub-calls\nstep 2: error 7: disk full\n2 turns, 45 tokens\n",
            output.ToString().ReplaceLineEndings("\n"));
    }

    [Fact]
    public void Environments_AreMade() =>
        Assert.Equal(["local", "docker", "e2b", "modal", "daytona", "prime"], Snippets.Environments().Select(environment => environment.Name));

    [Fact]
    public async Task Budget_Runs()
    {
        var output = new StringWriter();

        await Snippets.BudgetAsync(new ScriptedChatClient(FirstReply, SecondReply), new ScriptedChatClient("disk full"), Question(), output);

        Assert.Equal("step 2: error 7: disk full (Answered, 0.0002 USD)\n", output.ToString().ReplaceLineEndings("\n"));
    }

    [Fact]
    public async Task Conversation_Runs()
    {
        var output = new StringWriter();

        await Snippets.ConversationAsync(
            new ScriptedChatClient(request => request.FirstText.Contains("And why?", StringComparison.Ordinal) ? "```repl\nFINAL(f'{line}, said {history[1][\"content\"]}')\n```" : "```repl\nline = context.splitlines()[1]\nFINAL('two')\n```"),
            _path,
            output);

        Assert.Equal("step 2: error 7, said two\n", output.ToString().ReplaceLineEndings("\n"));
    }

    [Fact]
    public async Task Structured_Runs()
    {
        var output = new StringWriter();
        using var client = new DeepRecallChatClient(new ScriptedChatClient("```repl\nFINAL({'step': 'step 2', 'line': 2})\n```"), new DeepRecallOptions { Sandbox = new LocalSandbox() });

        await Snippets.StructuredAsync(client, Question(), output);

        Assert.Equal("step 2 in line 2\n", output.ToString().ReplaceLineEndings("\n"));
    }

    private ChatMessage Question() => new(ChatRole.User, [ContextContent.FromFile(_path), new TextContent("Which step failed first?")]);

    [Fact]
    public void BackendExamples_MakeClientsOfTheirModels()
    {
        Environment.SetEnvironmentVariable("OPENAI_API_KEY", "sk-test");
        try
        {
            Assert.Equal(
                ["gpt-4o-mini", "claude-sonnet-4-20250514", "gemini-2.0-flash", "my-gpt-4o-deployment", "meta-llama/Llama-3-70b", "gpt-4o"],
                [Snippets.OpenAI(), Snippets.Anthropic(), Snippets.Gemini(), Snippets.AzureOpenAI(), Snippets.Vllm(), Snippets.SubBackends()]);
        }
        finally
        {
            Environment.SetEnvironmentVariable("OPENAI_API_KEY", null);
        }
    }

    [Fact]
    public void BackendsTable_HasEveryBackend() =>
        Assert.All(DeepRecall.Backends.BackendNames.All, name => Assert.Contains($"\n| `{name}` |", Text(BuildPaths.Readme), StringComparison.Ordinal));

    [Fact]
    public void OptionsTable_HasEveryOption_WithItsDefault()
    {
        var rows = RowOf().Matches(Text(BuildPaths.Readme).Split("\n## Options\n")[1].Split("\n## ")[0]).ToDictionary(row => row.Groups["name"].Value, row => row.Groups["value"].Value);
        var options = new DeepRecallOptions();

        Assert.All(typeof(DeepRecallOptions).GetProperties(), property => Assert.Equal(
            property.GetValue(options) switch
            {
                null => "none",
                int number => number.ToString("N0"),
                double number => number.ToString(System.Globalization.CultureInfo.InvariantCulture),
                LimitBehavior behavior => behavior.ToString(),
                TimeSpan time => $"{time.TotalSeconds} s",
                bool flag => flag ? "true" : "false",
                CodeFences fences => fences.ToString(),
                var other => Assert.IsAssignableFrom<System.Collections.IEnumerable>(other).Cast<object>().Any() ? "some" : "empty",
            },
            rows.GetValueOrDefault(property.Name)));
    }

    private static string Text(string path) => File.ReadAllText(path).ReplaceLineEndings("\n");

    private static string Unindent(string code)
    {
        var lines = code.TrimEnd().Split('\n');
        var indent = lines[0].Length - lines[0].TrimStart().Length;
        return string.Join('\n', lines.Select(line => line.Length < indent ? line.TrimStart() : line[indent..]));
    }

    [GeneratedRegex(@"<!-- configuration -->\n```json\n(?<json>[\s\S]*?)```")]
    private static partial Regex ConfigurationOf();

    [GeneratedRegex(@"// snippet:(?<name>\S+)\n(?<code>[\s\S]*?)\n *// end\n")]
    private static partial Regex SnippetOf();

    [GeneratedRegex(@"<!-- snippet:(?<name>\S+) -->\n```csharp\n(?<code>[\s\S]*?)```")]
    private static partial Regex BlockOf();

    [GeneratedRegex(@"^\| `(?<name>\w+)` \| (?<value>[^|]+?) \|", RegexOptions.Multiline)]
    private static partial Regex RowOf();

    private sealed class NoSource : ISearchSource
    {
        public Task<IReadOnlyList<SearchResult>> SearchAsync(SearchRequest request, CancellationToken cancellationToken) => Task.FromResult<IReadOnlyList<SearchResult>>([]);
    }
}
