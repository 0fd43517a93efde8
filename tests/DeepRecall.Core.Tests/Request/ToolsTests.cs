using System.ComponentModel;
using System.Text.Json;
using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;

namespace DeepRecall.Tests.Request;

public sealed class ToolsTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("weather('Ljouwert', 5, False)", "Ljouwert 5 False")]
    [InlineData("weather('Ljouwert', 5)", "Ljouwert 5 True")]
    [InlineData("weather('Ljouwert')", "Ljouwert 3 True")]
    [InlineData("weather(city='Ljouwert', metric=False)", "Ljouwert 3 False")]
    [InlineData("weather('Ljouwert', metric=False, days=1)", "Ljouwert 1 False")]
    public async Task Tool_IsCalledByPositionAndByKeywordWithItsDefaults(string call, string answer)
    {
        var result = await RunAsync($"print({call})", AIFunctionFactory.Create(
            (string city, int days = 3, bool metric = true) => $"{city} {days} {metric}", "weather"));

        Assert.Equal(answer + "\n", result.Output);
        var record = Assert.Single(result.Subcalls);
        Assert.Equal(("weather", null, answer.Length + 2L, false), (record.Function, record.Model, record.ResponseLength, record.IsError));
        Assert.Null(record.Usage);
    }

    [Theory]
    [InlineData("int", "int 42")]
    [InlineData("long", "int 9007199254740993")]
    [InlineData("double", "float 1.5")]
    [InlineData("bool", "bool True")]
    [InlineData("null", "NoneType None")]
    [InlineData("string", "str äöü 🐍")]
    [InlineData("list", "list [1, 2, 3]")]
    [InlineData("object", "dict {'name': 'Ada', 'tags': ['x']}")]
    [InlineData("json", "dict {'a': [None]}")]
    [InlineData("void", "NoneType None")]
    public async Task ResultOfATool_IsAPythonValue(string kind, string seen)
    {
        AIFunction tool = kind switch
        {
            "int" => AIFunctionFactory.Create(() => 42, "get"),
            "long" => AIFunctionFactory.Create(() => 9_007_199_254_740_993L, "get"),
            "double" => AIFunctionFactory.Create(() => 1.5, "get"),
            "bool" => AIFunctionFactory.Create(() => true, "get"),
            "null" => AIFunctionFactory.Create(() => (string?)null, "get"),
            "string" => AIFunctionFactory.Create(() => "äöü 🐍", "get"),
            "list" => AIFunctionFactory.Create(() => new[] { 1, 2, 3 }, "get"),
            "object" => AIFunctionFactory.Create(() => new Person("Ada", ["x"], null), "get"),
            "json" => AIFunctionFactory.Create(() => JsonDocument.Parse("""{"a": [null]}""").RootElement.Clone(), "get"),
            _ => AIFunctionFactory.Create(() => { }, "get"),
        };

        var result = await RunAsync("v = get()\nprint(type(v).__name__, v)", tool);

        Assert.Equal(seen + "\n", result.Output);
    }

    [Fact]
    public async Task ArgumentsOfATool_ArriveTyped()
    {
        var result = await RunAsync(
            "print(take(['a', 'ä'], {'x': 1.5}, None, {'name': 'Ada', 'tags': [], 'parent': {'name': 'Bo', 'tags': ['t'], 'parent': None}}))",
            AIFunctionFactory.Create(
                (string[] list, Dictionary<string, double> map, string? nothing, Person person) =>
                    $"{string.Join('+', list)} {map["x"]} {nothing is null} {person.Parent?.Name} {person.Parent?.Tags[0]}",
                "take"));

        Assert.Equal("a+ä 1.5 True Bo t\n", result.Output);
    }

    [Fact]
    public async Task ExceptionOfATool_IsAPythonExceptionWithItsMessage()
    {
        var result = await RunAsync(
            "try:\n    fail()\nexcept Exception as e:\n    print('caught', e)\nfail()",
            AIFunctionFactory.Create((Func<int>)(() => throw new InvalidOperationException("the till is closed")), "fail"));

        Assert.Equal("caught the till is closed\n", result.Output);
        Assert.Equal(CellStatus.Error, result.Cells[0].Status);
        Assert.Contains("the till is closed", result.Cells[0].Error, StringComparison.Ordinal);
        Assert.Equal([true, true], result.Subcalls.Select(call => call.IsError));
        Assert.Equal("Error: the till is closed", result.Subcalls[0].Response);
    }

    [Theory]
    [InlineData("add(1)", "TypeError")]
    [InlineData("add(1, 2, 3)", "TypeError")]
    [InlineData("add(1, c=2)", "TypeError")]
    [InlineData("add(a=1, b=b'bytes')", "TypeError")]
    public async Task CallThatDoesNotFitATool_IsATypeErrorAndTheToolIsNotCalled(string call, string type)
    {
        var calls = 0;

        var result = await RunAsync(call, AIFunctionFactory.Create((int a, int b) => a + b + ++calls, "add"));

        Assert.Equal(type, result.Cells[0].ErrorType);
        Assert.Equal(0, calls);
    }

    [Fact]
    public async Task AsyncTool_IsAwaited()
    {
        var result = await RunAsync("print(slow(2))", AIFunctionFactory.Create(
            async (int n, CancellationToken token) =>
            {
                await Task.Delay(20, token);
                return n * 21;
            },
            "slow"));

        Assert.Equal("42\n", result.Output);
    }

    [Fact]
    public async Task NamesThatPythonDoesNotAllow_AreMadeToFit()
    {
        var result = await RunAsync(
            "import inspect\nprint(get_weather('x'), _2nd('y'), inspect.signature(get_weather), get_weather.__doc__)",
            AIFunctionFactory.Create((string city) => city + "!", "get-weather", "Gets the weather."),
            AIFunctionFactory.Create((string from) => from + "?", "2nd"));

        Assert.Equal("x! y? (city: str) Gets the weather.\n", result.Output);
    }

    [Fact]
    public async Task ParameterThatIsAKeyword_HasAnUnderscore()
    {
        var result = await RunAsync("print(travel('a', to='b'), travel(from_='c', to='d'))", AIFunctionFactory.Create((string from, string to) => $"{from}-{to}", "travel"));

        Assert.Equal("a-b c-d\n", result.Output);
    }

    [Fact]
    public async Task ToolsThatCannotBePythonFunctions_AreAllNamedBeforeASandboxStarts()
    {
        using var sandbox = new RecordingSandbox();
        using var client = Plan.Client(new ScriptedChatClient(Script.Answer("1")), options => options.Sandbox = sandbox);
        ChatOptions options = new()
        {
            Tools =
            [
                AIFunctionFactory.Create(() => 1, "fine"),
                AIFunctionFactory.Create(() => 1, "llm_query"),
                AIFunctionFactory.Create(() => 1, "context_12"),
                AIFunctionFactory.Create(() => 1, "history"),
                AIFunctionFactory.Create(() => 1, "class"),
                AIFunctionFactory.Create(() => 1, "get-it"),
                AIFunctionFactory.Create(() => 1, "get_it"),
                new HostedWebSearchTool(),
                new ApprovalRequiredAIFunction(AIFunctionFactory.Create(() => 1, "pay")),
                AIFunctionFactory.CreateDeclaration("declared", "No body.", JsonSerializer.SerializeToElement(new { type = "object" })),
            ],
        };

        var error = await Assert.ThrowsAsync<ArgumentException>(() => client.GetResponseAsync(Script.About("text"), options, Token));

        foreach (var named in (string[])["'llm_query'", "'context_12'", "'history'", "'class' is a keyword", "'get_it' is there twice", "'web_search'", "'pay' needs approval", "'declared'"])
        {
            Assert.Contains(named, error.Message, StringComparison.Ordinal);
        }

        Assert.DoesNotContain("'fine'", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, sandbox.Starts);
    }

    public static TheoryData<string> ReservedNames =>
        ["context", "context_0", "history", "history_3", "answer", "llm_query", "llm_query_batched", "rlm_query", "rlm_query_batched", "search_db", "SHOW_VARS", "FINAL", "FINAL_VAR", "__builtins__", "__name__"];

    [Theory]
    [MemberData(nameof(ReservedNames))]
    public async Task NameOfTheRepl_IsRefusedForATool(string name)
    {
        using var client = Plan.Client(new ScriptedChatClient(Script.Answer("1")));

        var error = await Assert.ThrowsAsync<ArgumentException>(
            () => client.GetResponseAsync(Script.About("text"), new ChatOptions { Tools = [AIFunctionFactory.Create(() => 1, name)] }, Token));

        Assert.Contains($"'{name}'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tools_AreCalledAtTheSameTimeFromThreads()
    {
        var inside = 0;
        var both = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var client = Plan.Client(new ScriptedChatClient(
            Script.Code("from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(2) as pool:\n    print(list(pool.map(meet, [1, 2])))"),
            Script.Answer("1")));

        var response = await client.GetResponseAsync(
            Script.About("text"),
            new ChatOptions
            {
                Tools =
                [
                    AIFunctionFactory.Create(
                        async (int n) =>
                        {
                            // Each waits for the other: one after the other they would wait for ever.
                            if (Interlocked.Increment(ref inside) == 2)
                            {
                                both.SetResult();
                            }

                            await both.Task.WaitAsync(TimeSpan.FromSeconds(30));
                            return n * 10;
                        },
                        "meet"),
                ],
            },
            Token);

        Assert.Equal("[10, 20]\n", response.GetTrajectory()!.Turns[0].Cells[0].Output);
    }

    [Fact]
    public async Task Children_HaveTheToolsToo()
    {
        var result = await new Plan(() => new ScriptedChatClient(request =>
            request.FirstText.Contains("Child", StringComparison.Ordinal) ? Script.Answer("double(21)")
            : request.Turn == 0 ? Script.Code("print(rlm_query('Child'))") : Script.Answer("1")))
        {
            Configure = options => options.MaxDepth = 2,
            ChatOptions = new ChatOptions { Tools = [AIFunctionFactory.Create((int n) => 2 * n, "double", "Doubles.")] },
        }.RunAsync(Token);

        Assert.Equal("42\n", result.Output);
        Assert.Contains("- `double(n: int)`: Doubles.", result.Model.Requests[1].Messages[0].Text, StringComparison.Ordinal);
        Assert.Equal((1, "double"), result.Subcalls[0].Child!.Turns[0].Cells[0].Subcalls.Select(call => (call.Depth, call.Function)).Single());
    }

    [Fact]
    public async Task OverwrittenTool_IsThereAgainInTheNextCell()
    {
        var result = await new Plan(Script.Code("one = None"), Script.Answer("one()"))
        {
            ChatOptions = new ChatOptions { Tools = [AIFunctionFactory.Create(() => 1, "one")] },
        }.RunAsync(Token);

        Assert.Equal("1", result.Text);
    }

    [Fact]
    public async Task Tool_IsGivenTheServicesOfTheClient()
    {
        await using var services = new ServiceCollection().AddSingleton("from the container").BuildServiceProvider();
        var model = new ScriptedChatClient(Script.Answer("get()"));
        using var client = new DeepRecallChatClient(model, new DeepRecallOptions { Sandbox = new Sandboxes.Local.LocalSandbox() }, services: services);

        var response = await client.GetResponseAsync(
            Script.About("text"),
            new ChatOptions { Tools = [AIFunctionFactory.Create((IServiceProvider given) => given.GetRequiredService<string>(), "get")] },
            Token);

        Assert.Equal("from the container", response.Text);
    }

    private static Task<PlanResult> RunAsync(string code, params AIFunction[] tools) =>
        new Plan(Script.Code(code), Script.Answer("1")) { ChatOptions = new ChatOptions { Tools = [.. tools] } }.RunAsync(Token);

    private sealed record Person(string Name, IReadOnlyList<string> Tags, [property: Description("Who.")] Person? Parent);
}
