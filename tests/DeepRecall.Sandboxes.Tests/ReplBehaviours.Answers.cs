using DeepRecall.Request;
using DeepRecall.Trajectory;

namespace DeepRecall.Sandboxes.Tests;

// How a cell gives an answer, and what of the host's names it cannot lose.
public abstract partial class ReplBehaviours
{
    [Fact]
    public async Task Answer_IsEmptyAndNotReadyAtFirst()
    {
        await using var repl = await StartAsync();
        var result = await repl.RunAsync("print(answer)");
        Assert.Equal("{'content': '', 'ready': False}\n", result.Output);
        Assert.Equal((false, null), (result.Ready, result.Content));
    }

    [Theory]
    [InlineData("answer['content'] = 'x'\nanswer['ready'] = True", "x")]
    [InlineData("answer['ready'] = True\nanswer['content'] = 'x'", "x")]
    [InlineData("answer.update(content='x', ready=True)", "x")]
    [InlineData("answer |= {'content': 'x', 'ready': True}", "x")]
    [InlineData("answer = {'content': 'x', 'ready': True}", "x")]
    [InlineData("answer = dict(ready=1, content='x')", "x")]
    [InlineData("from collections import defaultdict\nanswer = defaultdict(str, content='x', ready=True)", "x")]
    [InlineData("a = answer\na['content'], a['ready'] = 'x', True", "x")]
    [InlineData("FINAL('x')", "x")]
    [InlineData("x = 'the value'\nFINAL_VAR('x')", "the value")]
    [InlineData("x = 'the value'\nFINAL_VAR(x)", "the value")]
    [InlineData("x = 42\nFINAL_VAR(\"x\")", "42")]
    [InlineData("FINAL_VAR('not a name at all')", "not a name at all")]
    [InlineData("answer = 'no dict'\nFINAL('x')", "x")]
    [InlineData("answer['ready'] = True", "")]
    [InlineData("answer['content'] = 42\nanswer['ready'] = True", "42")]
    [InlineData("answer['content'] = None\nanswer['ready'] = True", "")]
    [InlineData("answer['content'] = [1, 'a']\nanswer['ready'] = True", "[1, 'a']")]
    [InlineData("answer = {'ready': True}", "")]
    [InlineData("FINAL('\\ud83d\\ude00 \\u00e9 \\0 \\r\\n')", "\uFFFD\uFFFD \u00E9 \0 \r\n")]
    public async Task AnswerSetInAnyWay_IsRead(string code, string content)
    {
        await using var repl = await StartAsync();
        var result = await repl.RunAsync(code);
        Assert.Equal((CellStatus.Ok, null), (result.Status, result.Error));
        Assert.True(result.Ready);

        // Two halves of a pair that Python holds apart may arrive as the character that they make.
        Assert.Equal(content, result.Content?.Replace("\uD83D\uDE00", "\uFFFD\uFFFD", StringComparison.Ordinal));
    }

    [Fact]
    public async Task AnswerThatIsNotReady_IsToldAsWhatThereIsOfIt()
    {
        await using var repl = await StartAsync();
        var result = await repl.RunAsync("answer['content'] = 'a draft'");
        Assert.Equal((false, "a draft"), (result.Ready, result.Content));
        result = await repl.RunAsync("x = 1");
        Assert.Equal((false, "a draft"), (result.Ready, result.Content));
    }

    [Fact]
    public async Task ExceptionAfterTheAnswerWasReady_DoesNotTakeItBack()
    {
        await using var repl = await StartAsync();
        var result = await repl.RunAsync("answer.update(content='x', ready=True)\nraise ValueError('late')");
        Assert.Equal((CellStatus.Error, true, "x"), (result.Status, result.Ready, result.Content));
    }

    [Fact]
    public async Task AnswerTakenBack_IsNotReady()
    {
        await using var repl = await StartAsync();
        Assert.False((await repl.RunAsync("FINAL('x')\nanswer['ready'] = False")).Ready);
    }

    [Fact]
    public async Task AnswerReboundToADict_IsTheAnswerOfLaterCells()
    {
        await using var repl = await StartAsync();
        await repl.PrintAsync("answer = {'content': 'mine'}");
        Assert.Equal("{'content': 'mine'}\n", await repl.PrintAsync("print(answer)"));
        var result = await repl.RunAsync("answer['ready'] = True");
        Assert.Equal((true, "mine"), (result.Ready, result.Content));
    }

    [Theory]
    [InlineData("{'a': [1, None, True], 'b': 'é'}", """{"a": [1, null, true], "b": "é"}""")]
    [InlineData("[1, 2]", "[1, 2]")]
    [InlineData("(1, 'x')", """[1, "x"]""")]
    [InlineData("True", "true")]
    [InlineData("'{\"already\": 1}'", "{\"already\": 1}")]
    public async Task AnswerOfACallerWhoAskedForJson_IsJson(string value, string content)
    {
        await using var repl = await StartAsync(TestRepl.Settings with { AnswerJson = true });
        var result = await repl.RunAsync($"FINAL({value})");
        Assert.Equal((true, content), (result.Ready, result.Content));
    }

    [Fact]
    public async Task AnswerThatHasNoText_IsNotReadyAndSaysWhy()
    {
        await using var repl = await StartAsync();
        var result = await repl.RunAsync("class Bad:\n    def __str__(self):\n        raise ValueError('no text')\nFINAL(Bad())");
        Assert.False(result.Ready);
        Assert.Contains("no text", result.Note, StringComparison.Ordinal);
        Assert.True((await repl.RunAsync("FINAL('good')")).Ready);
    }

    [Theory]
    [InlineData("FINAL('x' * 100_000_000)")]
    [InlineData("FINAL('\\0' * 16_000_000)")]
    public async Task AnswerThatIsTooLong_IsNotReadyAndSaysSo(string code)
    {
        await using var repl = await StartAsync();
        await repl.PrintAsync("kept = 1");
        var result = await repl.RunAsync(code);
        Assert.Equal((CellStatus.Ok, false), (result.Status, result.Ready));
        Assert.Contains("too long", result.Note, StringComparison.Ordinal);
        Assert.Equal("1\n", await repl.PrintAsync("print(kept)"));
    }

    [Fact]
    public async Task LongAnswer_ArrivesWhole()
    {
        await using var repl = await StartAsync();
        var result = await repl.RunAsync("FINAL('é' * 2_000_000 + 'end')");
        Assert.True(result.Ready);
        Assert.Equal(2_000_003, result.Content?.Length);
        Assert.EndsWith("éend", result.Content, StringComparison.Ordinal);
    }

    [Fact]
    public async Task NamesOfTheHost_AreRestoredAfterEachCell()
    {
        await using var repl = await TestRepl.StartAsync(
            CreateSandbox(),
            TestRepl.Settings,
            history: """[{"role":"user","content":"earlier"}]""",
            contexts: [ContextContent.FromText("the context")]);
        await repl.RunAsync(
            """
            context = context_0 = history = llm_query = llm_query_batched = rlm_query = SHOW_VARS = FINAL = FINAL_VAR = answer = "gone"
            del rlm_query_batched
            raise ValueError("at the end")
            """);
        Assert.Equal(
            "the context the context earlier echo: hi (no variables yet) True\n",
            await repl.PrintAsync("print(context, context_0, history[0]['content'], llm_query('hi'), SHOW_VARS(), callable(rlm_query_batched))"));
        Assert.True((await repl.RunAsync("FINAL('x')")).Ready);
    }

    [Fact]
    public async Task History_IsAListOfDicts()
    {
        await using var repl = await TestRepl.StartAsync(
            CreateSandbox(),
            TestRepl.Settings,
            history: """[{"role":"user","content":"q\u0000\n"},{"role":"assistant","content":"😀"}]""");
        Assert.Equal("[('user', 'q\\x00\\n'), ('assistant', '\\U0001f600')]\n", await repl.PrintAsync("print(ascii([(m['role'], m['content']) for m in history]))"));
    }
}
