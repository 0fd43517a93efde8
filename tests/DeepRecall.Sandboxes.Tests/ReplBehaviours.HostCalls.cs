using System.Collections.Concurrent;
using System.Text.Json;
using DeepRecall.Repl;
using DeepRecall.Trajectory;

namespace DeepRecall.Sandboxes.Tests;

// Functions of the host, called from the REPL.
public abstract partial class ReplBehaviours
{
    [Fact]
    public async Task Query_IsAnswered()
    {
        await using var repl = await StartAsync();
        Assert.Equal("echo: hi\n", await repl.PrintAsync("print(llm_query('hi'))"));
        Assert.Equal("['echo: a', 'echo: b']\n", await repl.PrintAsync("print(llm_query_batched(['a', 'b']))"));
        Assert.Equal("['echo: a']\n", await repl.PrintAsync("print(llm_query_batched(x for x in 'a'))"));
        Assert.Equal("[]\n", await repl.PrintAsync("print(llm_query_batched([]))"));
    }

    [Fact]
    public async Task TextsOfAnyCharacters_CrossBothWays()
    {
        await using var repl = await StartAsync();
        const string Text = "'a\\r\\n\\0\\t\"\\\\\\u2028😀\\x1b' * 5000";
        Assert.Equal("True\n", await repl.PrintAsync($"text = {Text}\nprint(llm_query(text) == 'echo: ' + text)"));
        Assert.Equal("'echo: half \\ufffd.'\n", await repl.PrintAsync("print(ascii(llm_query('half \\ud800.')))"));
    }

    [Fact]
    public async Task LargeTexts_CrossBothWays()
    {
        await using var repl = await StartAsync();
        Assert.Equal("10000006\n", await repl.PrintAsync("print(len(llm_query('x' * 10_000_000)))"));
    }

    [Theory]
    [InlineData("llm_query('x' * 70_000_000)", "Error: the call of llm_query has 70,")]
    [InlineData("llm_query(float('nan'))", "Error: ")]
    [InlineData("llm_query({1, 2})", "Error: ")]
    [InlineData("llm_query_batched('text')[0]", "Error: prompts must be a list of strings, not str")]
    [InlineData("llm_query_batched(None)[0]", "Error: ")]
    [InlineData("rlm_query_batched(['a'], contexts=5)[0]", "Error: contexts must be a list, not int")]
    public async Task ArgumentsThatCannotBeSent_AreAnErrorText(string call, string expected)
    {
        await using var repl = await StartAsync();
        Assert.StartsWith(expected, await repl.PrintAsync($"print({call})"), StringComparison.Ordinal);
        Assert.Equal("echo: hi\n", await repl.PrintAsync("print(llm_query('hi'))"));
    }

    [Fact]
    public async Task FailureOfTheHost_IsAnErrorText()
    {
        await using var repl = await StartAsync((_, _) => throw new InvalidOperationException("no model today"));
        Assert.Equal("Error: no model today\n", await repl.PrintAsync("print(llm_query('x'))"));
        Assert.Equal("['Error: no model today', 'Error: no model today']\n", await repl.PrintAsync("print(llm_query_batched(['x', 'y']))"));
    }

    [Fact]
    public async Task CallsOfAThreadPool_AreServedAtTheSameTime()
    {
        var inFlight = 0;
        var all = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var repl = await StartAsync(async (call, token) =>
        {
            if (Interlocked.Increment(ref inFlight) == 8)
            {
                all.SetResult();
            }

            // Each is answered only when all are there.
            await all.Task.WaitAsync(TimeSpan.FromSeconds(30), token);
            return await TestRepl.Echo(call, token);
        });
        Assert.Equal(
            "['echo: 0', 'echo: 1', 'echo: 2', 'echo: 3', 'echo: 4', 'echo: 5', 'echo: 6', 'echo: 7']\n",
            await repl.PrintAsync("from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(8) as pool:\n    print(list(pool.map(llm_query, map(str, range(8)))))"));
    }

    [Fact]
    public async Task ManyCallsOfManyThreads_EachGetTheirOwnAnswer()
    {
        var calls = 1000 / Slowness;
        await using var repl = await StartAsync(async (call, token) =>
        {
            await Task.Delay(Random.Shared.Next(3), token);
            return await TestRepl.Echo(call, token);
        });
        Assert.Equal(
            $"{calls} True\n",
            await repl.PrintAsync($"from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(16) as pool:\n    answers = list(pool.map(llm_query, map(str, range({calls}))))\nprint(len(answers), answers == [f'echo: {{i}}' for i in range({calls})])"));
    }

    [Fact]
    public async Task LateCallOfAThread_IsRefusedWhileNoCellRuns()
    {
        var calls = new ConcurrentQueue<string>();
        await using var repl = await StartAsync((call, token) =>
        {
            calls.Enqueue(TestRepl.Prompt(call));
            return TestRepl.Echo(call, token);
        });
        await repl.PrintAsync(
            """
            import threading, time
            answers = []
            def late():
                time.sleep(0.5)
                answers.append(llm_query("late"))
            thread = threading.Thread(target=late, daemon=True)
            thread.start()
            """);
        await Task.Delay(TimeSpan.FromSeconds(1.5), Token);
        var said = await repl.PrintAsync("thread.join(30)\nprint(answers)");

        // On a machine this slow the call may fall into the second cell, and is answered there.
        Assert.True(said.StartsWith("['Error: no cell is running", StringComparison.Ordinal) ? calls.IsEmpty : said == "['echo: late']\n", said);
        Assert.Equal("echo: on time\n", await repl.PrintAsync("print(llm_query('on time'))"));
    }

    [Fact]
    public async Task CallThatOutlivesItsCell_IsNotOneOfTheNextCell()
    {
        var tokens = new ConcurrentDictionary<string, CancellationToken>(StringComparer.Ordinal);
        await using var repl = await StartAsync(async (call, token) =>
        {
            var prompt = TestRepl.Prompt(call);
            tokens[prompt] = token;
            if (prompt == "long")
            {
                await Task.Delay(Timeout.Infinite, token);
            }

            return HostReply.Text(prompt);
        });
        await repl.PrintAsync("import threading, time\nanswers = []\nthread = threading.Thread(target=lambda: answers.append(llm_query('long')), daemon=True)\nthread.start()\ntime.sleep(0.5)");
        var second = await repl.RunAsync("print(llm_query('short'))\nthread.join(30)\nprint(len(answers), answers[0][:6])");
        Assert.Equal("short\n1 Error:\n", second.Output);
        Assert.NotEqual(tokens["long"], tokens["short"]);
        Assert.True(tokens["long"].IsCancellationRequested);
    }

    [Fact]
    public async Task Tool_IsAPythonFunctionWithItsOwnSignature()
    {
        using var value = JsonDocument.Parse("""{"default":"metric"}""");
        var settings = TestRepl.Settings with
        {
            Tools = [new ToolDeclaration("weather", "Tells the weather.", [new("city", "string", true, null), new("unit", "string", false, value.RootElement.GetProperty("default"))])],
        };
        await using var repl = await TestRepl.StartAsync(CreateSandbox(), settings, (call, _) => Task.FromResult(HostReply.Text($"{call.Name} {call.Arguments.GetRawText()}")));
        Assert.Equal("weather {\"city\":\"Oslo\"}\n", await repl.PrintAsync("print(weather('Oslo'))"));
        Assert.Equal("weather {\"city\":\"Oslo\",\"unit\":\"K\"}\n", await repl.PrintAsync("print(weather(unit='K', city='Oslo'))"));
        Assert.Equal("(city: str, unit: str = 'metric') Tells the weather.\n", await repl.PrintAsync("import inspect\nprint(inspect.signature(weather), weather.__doc__)"));
        var result = await repl.RunAsync("weather()");
        Assert.Equal("TypeError", result.ErrorType);
        Assert.Contains("weather(): missing a required argument: 'city'", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ToolThatFails_IsAnExceptionWithoutFramesOfTheWorker()
    {
        var settings = TestRepl.Settings with { Tools = [new ToolDeclaration("fail", null, [])] };
        await using var repl = await TestRepl.StartAsync(CreateSandbox(), settings, (_, _) => throw new InvalidOperationException("the tool broke"));
        var result = await repl.RunAsync("x = 1\nfail()");
        Assert.Equal((CellStatus.Error, "RuntimeError"), (result.Status, result.ErrorType));
        Assert.EndsWith("RuntimeError: the tool broke", result.Error, StringComparison.Ordinal);
        Assert.Contains("line 2", result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("worker", result.Error, StringComparison.OrdinalIgnoreCase);
        Assert.Equal("caught\n", await repl.PrintAsync("try:\n    fail()\nexcept RuntimeError:\n    print('caught')"));
    }

    [Fact]
    public async Task ArgumentsOfQueries_ArriveAsTheyWereGiven()
    {
        var calls = new ConcurrentQueue<string>();
        await using var repl = await StartAsync((call, token) =>
        {
            calls.Enqueue($"{call.Name} {call.Arguments.GetRawText()}");
            return TestRepl.Echo(call, token);
        });
        await repl.PrintAsync(
            """
            llm_query("p", model="m")
            llm_query_batched(("a", "b"), "m")
            rlm_query("task", {"doc": [1, None, "é"]})
            rlm_query_batched(["a", "b"], contexts=["x", ["y"]], model="m")
            """);
        Assert.Equal(
            [
                """llm_query {"prompt":"p","model":"m"}""",
                """llm_query_batched {"model":"m","prompts":["a","b"]}""",
                """rlm_query {"prompt":"task","context":{"doc":[1,null,"é"]},"model":null,"schema":null}""",
                """rlm_query_batched {"contexts":["x",["y"]],"model":"m","schema":null,"prompts":["a","b"]}""",
            ],
            calls);
    }

    [Fact]
    public async Task PromptOfABatchThatFails_LeavesTheOthersAndTheirOrder()
    {
        await using var repl = await StartAsync((call, _) => Task.FromResult(HostReply.Texts(
            [.. call.Arguments.GetProperty("prompts").EnumerateArray().Select(prompt => prompt.GetString() == "bad" ? "Error: refused" : $"ok {prompt}")])));
        Assert.Equal("['ok 1', 'Error: refused', 'ok 2']\n", await repl.PrintAsync("print(llm_query_batched(['1', 'bad', '2']))"));
        Assert.Equal("['Error: refused', 'ok x']\n", await repl.PrintAsync("print(rlm_query_batched(['bad', 'x']))"));
    }

    [Fact]
    public async Task BatchOfManyPrompts_KeepsTheirOrder()
    {
        await using var repl = await StartAsync();
        Assert.Equal("2000 True\n", await repl.PrintAsync("answers = llm_query_batched([f'{i} ' + 'x' * (i % 100) for i in range(2000)])\nprint(len(answers), all(a == f'echo: {i} ' + 'x' * (i % 100) for i, a in enumerate(answers)))"));
    }

    [Fact]
    public async Task CallsOfDifferentDurations_EachGetTheirOwnAnswer()
    {
        await using var repl = await StartAsync(async (call, token) =>
        {
            await Task.Delay(TimeSpan.FromMilliseconds(TestRepl.Prompt(call)[0] == '0' ? 400 : 5), token);
            return await TestRepl.Echo(call, token);
        });
        Assert.Equal(
            "['echo: 0', 'echo: 1', 'echo: 2', 'echo: 3']\n",
            await repl.PrintAsync("from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(4) as pool:\n    print(list(pool.map(llm_query, '0123')))"));
    }

    [Fact]
    public async Task ToolsThatFailInSomeThreads_FailOnlyThere()
    {
        var settings = TestRepl.Settings with { Tools = [new ToolDeclaration("half", null, [new("n", "integer", true, null)])] };
        await using var repl = await TestRepl.StartAsync(CreateSandbox(), settings, (call, _) =>
            call.Arguments.GetProperty("n").GetInt32() % 2 == 0
                ? Task.FromResult(HostReply.Json(call.Arguments.GetProperty("n")))
                : throw new InvalidOperationException("odd"));
        Assert.Equal(
            "[0, 'odd', 2, 'odd', 4, 'odd']\n",
            await repl.PrintAsync("from concurrent.futures import ThreadPoolExecutor\ndef attempt(n):\n    try:\n        return half(n)\n    except RuntimeError as error:\n        return str(error)\nwith ThreadPoolExecutor(6) as pool:\n    print(list(pool.map(attempt, range(6))))"));
    }

    [Fact]
    public async Task ValuesOfATool_CrossAsWhatTheyAre()
    {
        const string Values = """{"text":"'quotes' \"double\" \\ line\nand\ttab é 😀","list":[1,2.5,true,null,[]],"nested":{"a":{"b":{}}},"big":9007199254740993}""";
        using var value = JsonDocument.Parse(Values);
        var settings = TestRepl.Settings with { Tools = [new ToolDeclaration("same", null, [new("value", null, true, null)])] };
        await using var repl = await TestRepl.StartAsync(CreateSandbox(), settings, (call, _) => Task.FromResult(HostReply.Json(call.Arguments.GetProperty("value").Clone())));
        await repl.PrintAsync($"import json\nvalue = json.loads(r\"\"\"{Values}\"\"\")");
        Assert.Equal("True 9007199254740993\n", await repl.PrintAsync("back = same(value)\nprint(back == value, back['big'])"));
    }

    [Fact]
    public async Task CallsOfManyCells_AreInTheOrderInWhichTheyWereMade()
    {
        var calls = new ConcurrentQueue<string>();
        await using var repl = await StartAsync((call, token) =>
        {
            calls.Enqueue(TestRepl.Prompt(call));
            return TestRepl.Echo(call, token);
        });
        for (var cell = 0; cell < 10; cell++)
        {
            await repl.PrintAsync($"llm_query('{cell}a')\nrlm_query('{cell}b')");
        }

        Assert.Equal(Enumerable.Range(0, 10).SelectMany(cell => (string[])[$"{cell}a", $"{cell}b"]), calls);
    }
}
