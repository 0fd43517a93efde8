using System.Collections.Concurrent;
using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Tests.Subcalls;

public sealed class LlmQueryTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Query_GoesToTheFirstSubClientByDefault()
    {
        var (result, first, second) = await RunAsync("print(llm_query('What?'))");

        Assert.Equal("first: What?\n", result.Output);
        Assert.All(first.Requests, request =>
        {
            var message = Assert.Single(request.Messages);
            Assert.Equal(ChatRole.User, message.Role);
            Assert.Equal("What?", message.Text);
        });
        Assert.Empty(second.Requests);
        var record = Assert.Single(result.Subcalls);
        Assert.Equal(("llm_query", "first", "What?", "first: What?", false), (record.Function, record.Model, record.Prompt, record.Response, record.IsError));
        Assert.Equal(15, record.Usage?.TotalTokenCount);
        Assert.Equal(45, result.Response.Usage?.TotalTokenCount);
    }

    [Theory]
    [InlineData("llm_query('q', model='second')")]
    [InlineData("llm_query('q', 'second')")]
    [InlineData("llm_query('q', model='vendor/second-2')")]
    [InlineData("llm_query(prompt='q', model='second')")]
    [InlineData("llm_query_batched(['q'], 'second')[0]")]
    [InlineData("rlm_query('q', model='second')")]
    public async Task Query_GoesToTheSubClientOfThatNameOrModel(string call)
    {
        var (result, first, second) = await RunAsync($"print({call})");

        Assert.Equal("second: q\n", result.Output);
        Assert.Empty(first.Requests);
        Assert.Single(second.Requests);
    }

    [Theory]
    [InlineData("llm_query('q', model='third')", "Error: there is no model 'third'; the models are: first, second")]
    [InlineData("llm_query_batched(['q', 'r'], model='third')[1]", "Error: there is no model 'third'; the models are: first, second")]
    [InlineData("llm_query('q', model='FIRST')", "Error: there is no model 'FIRST'; the models are: first, second")]
    [InlineData("llm_query('q', model=1)", "Error: the model must be a string, not a number")]
    [InlineData("llm_query(42)", "Error: the prompt must be a string, or a list of messages with role and content, not a number")]
    [InlineData("llm_query(None)", "Error: the prompt must be a string, or a list of messages with role and content, not None")]
    [InlineData("llm_query(True)", "Error: the prompt must be a string, or a list of messages with role and content, not a bool")]
    [InlineData("llm_query({'a': 1})", "Error: the prompt must be a string, or a list of messages with role and content, not a dict")]
    [InlineData("llm_query([])", "Error: the prompt must be a string, or a list of messages with role and content, not this list")]
    [InlineData("llm_query(['a'])", "Error: the prompt must be a string, or a list of messages with role and content, not this list")]
    [InlineData("llm_query([{'role': 'user'}])", "Error: the prompt must be a string, or a list of messages with role and content, not this list")]
    [InlineData("llm_query_batched('one string')", "['Error: prompts must be a list of strings, not str']")]
    [InlineData("rlm_query_batched(['a', 'b'], contexts=['only one'])", "['Error: contexts must be a list with one entry for each of the 2 prompts', 'Error: contexts must be a list with one entry for each of the 2 prompts']")]
    public async Task UnusableQuery_IsAnErrorTextAndNoModelIsAsked(string call, string told)
    {
        var (result, first, second) = await RunAsync($"print({call})");

        Assert.Equal(told + "\n", result.Output);
        Assert.Equal(CellStatus.Ok, result.Cells[0].Status);
        Assert.Empty(first.Requests);
        Assert.Empty(second.Requests);
        Assert.Equal(30, result.Response.Usage?.TotalTokenCount);
    }

    [Theory]
    [InlineData("llm_query(b'bytes')")]
    [InlineData("llm_query(object())")]
    [InlineData("llm_query({1, 2})")]
    [InlineData("llm_query_batched(5)[0]")]
    [InlineData("llm_query_batched([b'bytes'])[0]")]
    public async Task PromptThatJsonCannotHold_IsAnErrorText(string call)
    {
        var (result, first, _) = await RunAsync($"print({call})");

        Assert.StartsWith("Error: ", result.Output, StringComparison.Ordinal);
        Assert.Equal(CellStatus.Ok, result.Cells[0].Status);
        Assert.Empty(first.Requests);
    }

    [Fact]
    public async Task EmptyBatch_IsAnEmptyList()
    {
        var (result, first, _) = await RunAsync("print(llm_query_batched([]), rlm_query_batched([]), llm_query_batched(()))");

        Assert.Equal("[] [] []\n", result.Output);
        Assert.Empty(first.Requests);
        Assert.Empty(result.Subcalls);
    }

    [Fact]
    public async Task PromptOfMessages_IsSentAsMessages()
    {
        var (result, first, _) = await RunAsync("print(llm_query([{'role': 'system', 'content': 'Be brief.'}, {'role': 'user', 'content': 'What?'}]))");

        Assert.Equal("first: What?\n", result.Output);
        Assert.Equal(["system: Be brief.", "user: What?"], first.Requests[0].Messages.Select(message => $"{message.Role}: {message.Text}"));
    }

    [Fact]
    public async Task OptionsOfASubClient_AreSentWithEveryCallAsACopy()
    {
        var options = new ChatOptions { ModelId = "tiny", Temperature = 0 };
        var sub = new ScriptedChatClient((request, _) =>
        {
            request.Options!.Temperature = 1;
            return Task.FromResult(new ChatResponse(new ChatMessage(ChatRole.Assistant, $"{request.Options.ModelId}")));
        });

        var result = await new Plan(Script.Code("print(llm_query_batched(['a', 'b'], model='tiny'))"), Script.Answer("1"))
        {
            Configure = configured => configured.SubClients.Add(new SubClient("sub", sub, options)),
            ChatOptions = new ChatOptions { Temperature = 0.5f },
        }.RunAsync(Token);

        Assert.Equal("['tiny', 'tiny']\n", result.Output);
        Assert.Equal(0f, options.Temperature);
        Assert.All(sub.Requests, request => Assert.NotSame(options, request.Options));
    }

    [Fact]
    public async Task Batch_KeepsTheOrderOfItsPromptsWhateverTheirDelays()
    {
        var sub = new ScriptedChatClient(async (request, token) =>
        {
            var number = int.Parse(request.LastText);
            await Task.Delay(TimeSpan.FromMilliseconds((19 - number) * 5), token);
            return new ChatResponse(new ChatMessage(ChatRole.Assistant, $"a{number}"));
        });

        var result = await new Plan(Script.Code("print(llm_query_batched([str(n) for n in range(20)]))"), Script.Answer("1"))
        {
            Configure = options => options.SubClients.Add(new SubClient("sub", sub)),
        }.RunAsync(Token);

        Assert.Equal("[" + string.Join(", ", Enumerable.Range(0, 20).Select(n => $"'a{n}'")) + "]\n", result.Output);
        Assert.Equal(Enumerable.Range(0, 20).Select(n => $"{n}"), result.Subcalls.Select(call => call.Prompt));
        Assert.Equal(Enumerable.Range(1, 20), result.Subcalls.Select(call => call.Number));
    }

    [Fact]
    public async Task FailingPromptOfABatch_FailsAlone()
    {
        var sub = new ScriptedChatClient(request => request.LastText == "bad" ? throw new HttpRequestException("429 too many requests") : $"ok {request.LastText}");

        var result = await new Plan(Script.Code("print(llm_query_batched(['a', 'bad', 7, 'b']))"), Script.Answer("1"))
        {
            Configure = options => options.SubClients.Add(new SubClient("sub", sub)),
        }.RunAsync(Token);

        Assert.Equal(
            "['ok a', 'Error: 429 too many requests', 'Error: the prompt must be a string, or a list of messages with role and content, not a number', 'ok b']\n",
            result.Output);
        Assert.Equal([false, true, false], result.Subcalls.Select(call => call.IsError));
        Assert.Equal(60, result.Response.Usage?.TotalTokenCount);
    }

    [Fact]
    public async Task FiftyPrompts_NeverPassTheirCap()
    {
        var subs = new ConcurrentQueue<ScriptedChatClient>();

        var result = await new Plan(Script.Code("print(len(set(llm_query_batched([str(n) for n in range(50)]))))"), Script.Answer("1"))
        {
            Configure = options =>
            {
                var sub = new ScriptedChatClient(request => $"a{request.LastText}") { Latency = TimeSpan.FromMilliseconds(10) };
                subs.Enqueue(sub);
                options.SubClients.Add(new SubClient("sub", sub));
                options.MaxConcurrentSubcalls = 4;
            },
        }.RunAsync(Token);

        Assert.Equal("50\n", result.Output);
        Assert.All(subs, sub =>
        {
            Assert.Equal(50, sub.Requests.Count);
            Assert.Equal(4, sub.MaxInFlight);
        });
    }

    [Theory]
    [InlineData("")]
    [InlineData("  \n")]
    [InlineData(null)]
    public async Task EmptyAnswerOfASubModel_IsAnErrorText(string? text)
    {
        var sub = new ScriptedChatClient((_, _) => Task.FromResult(text is null
            ? null!
            : new ChatResponse(new ChatMessage(ChatRole.Assistant, text)) { FinishReason = ChatFinishReason.ContentFilter }));

        var result = await new Plan(Script.Code("print(llm_query('q'))"), Script.Answer("1"))
        {
            Configure = options => options.SubClients.Add(new SubClient("sub", sub)),
        }.RunAsync(Token);

        Assert.Equal($"Error: the model 'sub' returned no text{(text is null ? string.Empty : " (finish reason: content_filter)")}\n", result.Output);
        Assert.True(Assert.Single(result.Subcalls).IsError);
    }

    [Fact]
    public async Task SubModelThatThrows_IsAnErrorTextAndTheRunGoesOn()
    {
        var sub = new ScriptedChatClient((Func<ScriptedRequest, string>)(_ => throw new InvalidOperationException("no quota")));

        var result = await new Plan(Script.Code("r = llm_query('q')\nprint(r)"), Script.Answer("r.startswith('Error:')"))
        {
            Configure = options => options.SubClients.Add(new SubClient("sub", sub)),
        }.RunAsync(Token);

        Assert.Equal("Error: no quota\n", result.Output);
        Assert.Equal("True", result.Text);
    }

    [Fact]
    public async Task SubModelThatTimesOut_IsToldAsATimeout()
    {
        // What HttpClient throws when its own timeout is over.
        var sub = new ScriptedChatClient((Func<ScriptedRequest, string>)(_ =>
            throw new TaskCanceledException("The request was canceled due to the configured HttpClient.Timeout of 100 seconds elapsing.", new TimeoutException())));

        var result = await new Plan(Script.Code("print(llm_query('q'))"), Script.Answer("1"))
        {
            Configure = options => options.SubClients.Add(new SubClient("sub", sub)),
        }.RunAsync(Token);

        Assert.StartsWith("Error: ", result.Output, StringComparison.Ordinal);
        Assert.Contains("Timeout", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task LlmQuery_NeverRunsAChild()
    {
        var starts = 0;

        var result = await new Plan(() => new ScriptedChatClient(request =>
        {
            starts += request.IsRun && request.Turn == 0 ? 1 : 0;
            return !request.IsRun ? "plain" : request.Turn == 0 ? Script.Code("print(llm_query('q'), llm_query_batched(['q', 'r']))") : Script.Answer("1");
        }))
        {
            Configure = options => options.MaxDepth = 3,
        }.RunAsync(Token);

        Assert.Equal("plain ['plain', 'plain']\n", result.Output);
        Assert.All(result.Subcalls, call => Assert.Null(call.Child));
        Assert.Equal(2, starts); // the roots of the plan's two runs
    }

    [Fact]
    public async Task RlmQueryAtTheLastDepth_IsOneCallWithPromptAndContext()
    {
        var (result, first, _) = await RunAsync(
            "rlm_query('What?', context='the text')\nrlm_query('What?', {'a': [1, None]})\nrlm_query('What?')\nrlm_query_batched(['p', 'q'], ['x', 'y'])\n"
            + "rlm_query([{'role': 'system', 'content': 's'}, {'role': 'user', 'content': 'u'}], 'c')");

        Assert.Equal(
            ["What?\n\nContext:\nthe text", "What?\n\nContext:\n{\"a\":[1,null]}", "What?"],
            first.Requests.Take(3).Select(request => Assert.Single(request.Messages).Text));
        Assert.Equal(["p\n\nContext:\nx", "q\n\nContext:\ny"], first.Requests.Skip(3).Take(2).Select(request => request.LastText).Order());
        Assert.Equal(["s", "u\n\nContext:\nc"], first.Requests[5].Messages.Select(message => message.Text));
        Assert.All(result.Subcalls, call => Assert.Null(call.Child));
        Assert.Equal(["rlm_query", "rlm_query", "rlm_query", "rlm_query_batched", "rlm_query_batched", "rlm_query"], result.Subcalls.Select(call => call.Function));
    }

    [Fact]
    public async Task WithoutSubClients_TheWrappedModelAnswers()
    {
        var result = await new Plan(() => new ScriptedChatClient(request =>
            !request.IsRun ? "from the root's model" : request.Turn == 0 ? Script.Code("print(llm_query('q'))") : Script.Answer("1"))).RunAsync(Token);

        Assert.Equal("from the root's model\n", result.Output);
        Assert.Equal("default", Assert.Single(result.Subcalls).Model);
    }

    [Fact]
    public async Task SubcallsFromThreadsOfACell_RunAtTheSameTime()
    {
        var subs = new ConcurrentQueue<ScriptedChatClient>();

        var result = await new Plan(
            Script.Code(
                """
                from concurrent.futures import ThreadPoolExecutor
                with ThreadPoolExecutor(8) as pool:
                    print(list(pool.map(lambda n: llm_query(f"q{n}"), range(16))))
                """),
            Script.Answer("1"))
        {
            Configure = options =>
            {
                // Every call waits until four are in flight: calls one after the other would wait for ever.
                var started = 0;
                var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                var sub = new ScriptedChatClient(async (request, token) =>
                {
                    if (Interlocked.Increment(ref started) == 4)
                    {
                        reached.SetResult();
                    }

                    await reached.Task.WaitAsync(TimeSpan.FromSeconds(30), token);
                    return new ChatResponse(new ChatMessage(ChatRole.Assistant, $"a{request.LastText[1..]}"));
                });
                subs.Enqueue(sub);
                options.SubClients.Add(new SubClient("sub", sub));
            },
            AnyOrder = true,
        }.RunAsync(Token);

        Assert.Equal("[" + string.Join(", ", Enumerable.Range(0, 16).Select(n => $"'a{n}'")) + "]\n", result.Output);
        Assert.Equal(16, result.Subcalls.Count);
        Assert.All(subs, sub => Assert.InRange(sub.MaxInFlight, 4, 8));
    }

    [Fact]
    public async Task TimeThatACellWaitsForModels_IsNotItsOwn()
    {
        var sub = new ScriptedChatClient("slow") { Latency = TimeSpan.FromSeconds(1) };

        var result = await new Plan(Script.Code("print(llm_query('q'))"), Script.Answer("1"))
        {
            Configure = options =>
            {
                options.SubClients.Add(new SubClient("sub", sub));
                options.CellTimeout = TimeSpan.FromMilliseconds(500);
            },
        }.RunAsync(Token);

        Assert.Equal("slow\n", result.Output);
        Assert.True(result.Cells[0].WaitDuration >= TimeSpan.FromMilliseconds(900), $"{result.Cells[0].WaitDuration}");
    }

    [Fact]
    public async Task CallsOfACell_AreRecordedWithThatCell()
    {
        var (result, _, _) = await RunAsync("llm_query('one')", "llm_query('two')\nllm_query('three')");

        Assert.Equal(["one"], result.Cells[0].Subcalls.Select(call => call.Prompt));
        Assert.Equal(["two", "three"], result.Cells[1].Subcalls.Select(call => call.Prompt));
        Assert.Equal([1, 2, 3], result.Subcalls.Select(call => call.Number));
    }

    [Fact]
    public async Task LongPromptsAndAnswers_AreRecordedAsExcerptsWithTheirLengths()
    {
        var sub = new ScriptedChatClient(request => new string('a', 6_000) + request.LastText.Length);

        var result = await new Plan(Script.Code("r = llm_query('q' * 5000)\nprint(len(r), r[-4:])"), Script.Answer("1"))
        {
            Configure = options => options.SubClients.Add(new SubClient("sub", sub)),
        }.RunAsync(Token);

        Assert.Equal("6004 5000\n", result.Output);
        var call = Assert.Single(result.Subcalls);
        Assert.Equal((4_000, 5_000L, 4_000, 6_004L), (call.Prompt.Length, call.PromptLength, call.Response.Length, call.ResponseLength));
    }

    [Fact]
    public async Task OddCharacters_CrossToTheSubModelAndBack()
    {
        var text = "a\r\n\0\u2028 \"q\" \\n äöü 🐍";
        var sub = new ScriptedChatClient(request => request.LastText);

        var result = await new Plan(Script.Code("print(llm_query(context) == context)"), Script.Answer("1"))
        {
            Messages = Script.About(text),
            Configure = options => options.SubClients.Add(new SubClient("sub", sub)),
        }.RunAsync(Token);

        Assert.Equal("True\n", result.Output);
        Assert.Equal(text, sub.Requests[0].LastText);
    }

    [Fact]
    public async Task OverwrittenQueryFunction_IsThereAgainInTheNextCell()
    {
        var (result, _, _) = await RunAsync("llm_query = rlm_query = None\ncontext = 'mine'", "print(llm_query('q'), rlm_query('r'), context)");

        Assert.Equal("first: q first: r the context\n", result.Cells[1].Output);
    }

    private static async Task<(PlanResult Result, ScriptedChatClient First, ScriptedChatClient Second)> RunAsync(params string[] cells)
    {
        ScriptedChatClient first = null!, second = null!;
        var result = await new Plan([.. cells.Select(Script.Code), Script.Answer("1")])
        {
            Configure = options =>
            {
                first = new ScriptedChatClient(request => $"first: {request.LastText}");
                second = new ScriptedChatClient(request => $"second: {request.LastText}") { Metadata = new ChatClientMetadata("vendor", defaultModelId: "vendor/second-2") };
                options.SubClients.Add(new SubClient("first", first));
                options.SubClients.Add(new SubClient("second", second));
            },
        }.RunAsync(Token);
        return (result, first, second);
    }
}
