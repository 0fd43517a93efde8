using System.Text.RegularExpressions;
using DeepRecall;
using DeepRecall.Request;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Testing;
using Microsoft.Extensions.AI;

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
    public async Task DependencyInjection_Runs()
    {
        var output = new StringWriter();

        await Snippets.DependencyInjectionAsync(new ScriptedChatClient(FirstReply, SecondReply), new ScriptedChatClient("disk full"), _path, output);

        Assert.Equal("step 2: error 7: disk full\n", output.ToString().ReplaceLineEndings("\n"));
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
        var rows = RowOf().Matches(Text(BuildPaths.Readme)).ToDictionary(row => row.Groups["name"].Value, row => row.Groups["value"].Value);
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

    [GeneratedRegex(@"// snippet:(?<name>\S+)\n(?<code>[\s\S]*?)\n *// end\n")]
    private static partial Regex SnippetOf();

    [GeneratedRegex(@"<!-- snippet:(?<name>\S+) -->\n```csharp\n(?<code>[\s\S]*?)```")]
    private static partial Regex BlockOf();

    [GeneratedRegex(@"^\| `(?<name>\w+)` \| (?<value>[^|]+?) \|", RegexOptions.Multiline)]
    private static partial Regex RowOf();
}
