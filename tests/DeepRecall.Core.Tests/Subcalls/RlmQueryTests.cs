using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Tests.Subcalls;

public sealed class RlmQueryTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Child_RunsItsOwnLoopInItsOwnReplWithItsContext()
    {
        var result = await RunAsync(
            2,
            request => request.FirstText.Contains("Count it", StringComparison.Ordinal)
                ? request.Turn == 0 ? Script.Code("x = 'of the child'\nprint(type(context).__name__, context)") : Script.Answer("len(context)")
                : request.Turn == 0 ? Script.Code("x = 'of the root'\nprint(rlm_query('Count it', context=['a', 'b', 'c']), x, context)") : Script.Answer("x"));

        Assert.Equal("of the root", result.Text);
        Assert.Equal("3 of the root the context\n", result.Output);
        var call = Assert.Single(result.Subcalls);
        Assert.Equal(("rlm_query", 0, "Count it", "3", false), (call.Function, call.Depth, call.Prompt, call.Response, call.IsError));
        var child = call.Child;
        Assert.NotNull(child);
        Assert.Equal((1, "3", StopReason.Answered, 2), (child.Depth, child.Answer, child.StopReason, child.Turns.Count));
        Assert.NotEqual(result.Trajectory.RunId, child.RunId);
        Assert.Equal("list ['a', 'b', 'c']\n", child.Turns[0].Cells[0].Output);
        Assert.Equal(30, child.Usage.TotalTokenCount);
        Assert.Equal(30, call.Usage?.TotalTokenCount);
        Assert.Equal(60, result.Response.Usage?.TotalTokenCount);
    }

    [Theory]
    [InlineData("rlm_query('Do it')", "str Do it")]
    [InlineData("rlm_query('Do it', '')", "str ")]
    [InlineData("rlm_query('Do it', {'k': 'v'})", "dict {'k': 'v'}")]
    [InlineData("rlm_query('Do it', [1, 2])", "list [1, 2]")]
    [InlineData("rlm_query('Do it', 5)", "int 5")]
    [InlineData("rlm_query_batched(['Do it'], ['c'])[0]", "str c")]
    public async Task ContextOfAChild_IsWhatItWasGiven(string call, string seen)
    {
        var result = await RunAsync(
            2,
            request => request.FirstText.Contains("Do it", StringComparison.Ordinal)
                ? Script.Answer("f'{type(context).__name__} {context}'")
                : request.Turn == 0 ? Script.Code($"print({call})") : Script.Answer("1"));

        Assert.Equal(seen + "\n", result.Output);
    }

    [Fact]
    public async Task VeryLongPromptOfAChild_IsShownAsAnExcerptAndIsWholeInItsRepl()
    {
        var result = await RunAsync(
            2,
            request => request.FirstText.Contains("Do it", StringComparison.Ordinal)
                ? Script.Answer("(len(context), len(context_1) if 'context_1' in globals() else 0)")
                : request.Turn == 0 ? Script.Code("p = 'Do it' + 'x' * 9000\nprint(rlm_query(p), rlm_query(p, 'c'))") : Script.Answer("1"));

        Assert.Equal("(9005, 0) (1, 9005)\n", result.Output);
    }

    [Fact]
    public async Task Child_IsAskedOfTheNamedModel()
    {
        var large = new ScriptedChatClient(Script.Answer("'large: ' + context"));
        var result = await new Plan(Script.Code("print(rlm_query('q', 'c', model='large'))"), Script.Answer("1"))
        {
            Configure = options =>
            {
                options.MaxDepth = 2;
                options.SubClients.Add(new SubClient("small", new ScriptedChatClient("unused")));
                options.SubClients.Add(new SubClient("large", large, new ChatOptions { Temperature = 0.75f }));
            },
        }.RunAsync(Token);

        Assert.Equal("large: c\n", result.Output);
        Assert.Equal(0.75f, large.Requests[0].Options?.Temperature);
        Assert.Equal("large", Assert.Single(result.Subcalls).Model);
    }

    [Fact]
    public async Task OptionsThatAreNotForATurn_AreNotSentToAChildsModel()
    {
        var sub = new ScriptedChatClient(Script.Answer("1"));
        await new Plan(Script.Code("print(rlm_query('q'))"), Script.Answer("1"))
        {
            Configure = options =>
            {
                options.MaxDepth = 2;
                options.SubClients.Add(new SubClient("sub", sub, new ChatOptions { ResponseFormat = ChatResponseFormat.Json, ConversationId = "c", ModelId = "m" }));
            },
        }.RunAsync(Token);

        Assert.Equal("m", sub.Requests[0].Options?.ModelId);
        Assert.Null(sub.Requests[0].Options?.ConversationId); // a child keeps its own messages
        Assert.Null(sub.Requests[0].Options?.ResponseFormat); // its turns are prose and code
    }

    [Fact]
    public async Task ThreeLevels_NestAndTheLastAsksAModelPlainly()
    {
        var result = await RunAsync(3, request => (request.IsRun, request.IsRun ? request.FirstText : string.Empty) switch
        {
            (false, _) => "leaf",
            (_, var text) when text.Contains("level one", StringComparison.Ordinal) => request.Turn == 0 ? Script.Code("r = rlm_query('level two', context)") : Script.Answer("'1' + r"),
            (_, var text) when text.Contains("level two", StringComparison.Ordinal) => request.Turn == 0 ? Script.Code("r = rlm_query('level three', context)") : Script.Answer("'2' + r"),
            _ => request.Turn == 0 ? Script.Code("r = rlm_query('level one', 'deep')") : Script.Answer("'0' + r"),
        });

        Assert.Equal("012leaf", result.Text);
        var one = Assert.Single(result.Subcalls).Child!;
        var two = Assert.Single(one.Turns[0].Cells[0].Subcalls).Child!;
        var three = Assert.Single(two.Turns[0].Cells[0].Subcalls);
        Assert.Null(three.Child);
        Assert.Equal(2, three.Depth);
        Assert.Equal("level three\n\nContext:\ndeep", result.Model.Requests.Single(request => !request.IsRun).LastText);
        Assert.Equal((105L, 75L, 45L, 15L), (result.Trajectory.Usage.TotalTokenCount, one.Usage.TotalTokenCount, two.Usage.TotalTokenCount, three.Usage?.TotalTokenCount));
        Assert.Equal(105, result.Response.Usage?.TotalTokenCount);
    }

    [Fact]
    public async Task DescriptionOfChildRuns_IsGivenToThoseThatMayHaveSome()
    {
        var result = await RunAsync(
            2,
            request => request.FirstText.Contains("level one", StringComparison.Ordinal) ? Script.Answer("1")
                : request.Turn == 0 ? Script.Code("rlm_query('level one')") : Script.Answer("1"));

        Assert.Contains("`rlm_query(", result.Model.Requests[0].Messages[0].Text, StringComparison.Ordinal);
        Assert.DoesNotContain("`rlm_query(", result.Model.Requests[1].Messages[0].Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task FailureOfAChild_IsAnErrorTextAndTheParentGoesOn()
    {
        var result = await RunAsync(
            2,
            request => !request.FirstText.Contains("Fail", StringComparison.Ordinal)
                ? request.Turn == 0 ? Script.Code("print(rlm_query('Fail'))") : Script.Answer("'still here'")
                : request.Turn == 0 ? Script.Code("x = 1") : throw new HttpRequestException("503 unavailable"));

        Assert.Equal("still here", result.Text);
        Assert.Equal("Error: the child run failed: 503 unavailable\n", result.Output);
        var call = Assert.Single(result.Subcalls);
        Assert.True(call.IsError);
        Assert.Equal(15, call.Usage?.TotalTokenCount);
        Assert.Equal(StopReason.Failed, call.Child?.StopReason);
        Assert.Single(call.Child!.Turns);
        Assert.Equal(45, result.Response.Usage?.TotalTokenCount);
    }

    [Fact]
    public async Task FailingChildOfABatch_FailsAlone()
    {
        var result = await RunAsync(
            2,
            request => !request.FirstText.Contains("task", StringComparison.Ordinal)
                ? request.Turn == 0 ? Script.Code("print(rlm_query_batched(['task 0', 'task 1', 'task 2']))") : Script.Answer("1")
                : request.FirstText.Contains("task 1", StringComparison.Ordinal) ? throw new InvalidOperationException("boom") : Script.Answer("context[-1]"));

        Assert.Equal("['0', 'Error: the child run failed: boom', '2']\n", result.Output);
    }

    [Fact]
    public async Task ChildThatRunsOutOfTurns_GivesWhatItHas()
    {
        var result = await new Plan(() => new ScriptedChatClient(request =>
            request.FirstText.Contains("Child", StringComparison.Ordinal)
                ? request.Turn < 2 ? Script.Code("1") : "As far as I see, 7."
                : request.Turn == 0 ? Script.Code("print(rlm_query('Child'))") : Script.Answer("1")))
        {
            Configure = options =>
            {
                options.MaxDepth = 2;
                options.MaxIterations = 2;
            },
        }.RunAsync(Token);

        Assert.Equal("As far as I see, 7.\n", result.Output);
        Assert.Equal(StopReason.MaxIterations, Assert.Single(result.Subcalls).Child?.StopReason);
        Assert.Equal(StopReason.Answered, result.Trajectory.StopReason);
    }

    [Fact]
    public async Task DeathOfAChildsRepl_LeavesTheParents()
    {
        var result = await RunAsync(
            2,
            request => request.FirstText.Contains("Child", StringComparison.Ordinal)
                ? request.Turn == 0 ? Script.Code("import os\nos._exit(1)") : Script.Answer("context")
                : request.Turn == 0 ? Script.Code("x = 'kept'\nprint(rlm_query('Child', 'c'))") : Script.Answer("x"));

        Assert.Equal("c\n", result.Output);
        Assert.Equal("kept", result.Text);
    }

    [Fact]
    public async Task ParallelChildren_DoNotSeeEachOthersOutput()
    {
        var result = await RunAsync(
            2,
            request =>
            {
                if (!request.FirstText.Contains("task", StringComparison.Ordinal))
                {
                    return request.Turn == 0
                        ? Script.Code("print('before')\nr = rlm_query_batched([f'task {n}' for n in range(6)], [str(n) for n in range(6)])\nprint(r)")
                        : Script.Answer("r == [f'{n} done' for n in range(6)]");
                }

                return request.Turn == 0
                    ? Script.Code("import time\nfor i in range(20):\n    print(f'<{context}>')\n    time.sleep(0.005)")
                    : Script.Answer("context + ' done'");
            });

        Assert.Equal("True", result.Text);
        Assert.Equal("before\n['0 done', '1 done', '2 done', '3 done', '4 done', '5 done']\n", result.Output);
        Assert.Equal(6, result.Subcalls.Count);
        for (var number = 0; number < 6; number++)
        {
            var child = result.Subcalls[number].Child!;
            Assert.Equal(string.Concat(Enumerable.Repeat($"<{number}>\n", 20)), child.Turns[0].Cells[0].Output);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task OneCap_HoldsOverAllDepthsAndNothingLocks(int cap)
    {
        var result = await new Plan(() => new ScriptedChatClient(request => (request.IsRun, request.IsRun ? request.FirstText : string.Empty) switch
        {
            (false, _) => "leaf",
            (_, var text) when text.Contains("inner", StringComparison.Ordinal) => request.Turn == 0
                ? Script.Code("r = llm_query_batched(['a', 'b', 'c'])") : Script.Answer("'+'.join(r)"),
            (_, var text) when text.Contains("outer", StringComparison.Ordinal) => request.Turn == 0
                ? Script.Code("r = rlm_query_batched(['inner'] * 3) + llm_query_batched(['a', 'b', 'c'])") : Script.Answer("len(r)"),
            _ => request.Turn == 0
                ? Script.Code("r = rlm_query_batched(['outer'] * 3)") : Script.Answer("r"),
        })
        {
            Latency = TimeSpan.FromMilliseconds(5),
        })
        {
            Configure = options =>
            {
                options.MaxDepth = 3;
                options.MaxConcurrentSubcalls = cap;
            },
        }.RunAsync(Token).WaitAsync(TimeSpan.FromMinutes(2), Token);

        Assert.Equal("['6', '6', '6']", result.Text);
        Assert.InRange(result.Model.MaxInFlight, 1, cap);
        Assert.InRange(result.StreamedModel.MaxInFlight, 1, cap);

        // Root 2, three outer children 2 and 3 each, nine inner ones 2 and 3 each.
        Assert.Equal(2 + (3 * 5) + (9 * 5), result.Model.Requests.Count);
        Assert.Equal(result.Model.Requests.Count * 15, result.Response.Usage?.TotalTokenCount);
    }

    [Fact]
    public async Task Usage_IsTheSumOverAllModelsAtAllDepths()
    {
        UsageDetails sub = new() { InputTokenCount = 100, OutputTokenCount = 1, TotalTokenCount = 101 };
        List<ScriptedChatClient> subs = [];
        var result = await new Plan(() => new ScriptedChatClient(
            Script.Code("r = rlm_query_batched(['one', 'two']) + [llm_query('x')]\nbad = llm_query('fail')"),
            "no code",
            Script.Answer("len(r)")))
        {
            Configure = options =>
            {
                options.MaxDepth = 2;
                var client = new ScriptedChatClient(request =>
                    request.LastText == "fail" ? throw new InvalidOperationException("x")
                    : !request.IsRun ? "plain"
                    : request.Turn == 0 ? Script.Code("llm_query_batched(['a', 'b'])") : Script.Answer("1"))
                {
                    Usage = sub,
                };
                subs.Add(client);
                options.SubClients.Add(new SubClient("sub", client));
            },
        }.RunAsync(Token);

        // Two children of two turns and two calls each, and one plain call; the failing one reports nothing.
        Assert.All(subs, client => Assert.Equal(10, client.Requests.Count));
        Assert.Equal((9 * 100) + (3 * 10), result.Response.Usage?.InputTokenCount);
        Assert.Equal((9 * 1) + (3 * 5), result.Response.Usage?.OutputTokenCount);
        Assert.Equal((9 * 101) + (3 * 15), result.Response.Usage?.TotalTokenCount);
        Assert.Equal(result.Response.Usage?.TotalTokenCount, result.Trajectory.Usage.TotalTokenCount);
        Assert.Equal(
            result.Trajectory.Usage.TotalTokenCount,
            result.Trajectory.Turns.Sum(turn => turn.Usage?.TotalTokenCount) + result.Subcalls.Sum(call => call.Usage?.TotalTokenCount ?? 0));
    }

    [Fact]
    public async Task EveryChild_HasAProcessOfItsOwnAndNoneIsLeft()
    {
        using var sandbox = new RecordingSandbox();
        using var client = Plan.Client(
            new ScriptedChatClient(request => request.FirstText.Contains("task", StringComparison.Ordinal) ? Script.Answer("1")
                : request.Turn == 0 ? Script.Code("rlm_query_batched(['task'] * 5)") : Script.Answer("1")),
            options =>
            {
                options.Sandbox = sandbox;
                options.MaxDepth = 2;
            });

        await client.GetResponseAsync(Script.About("text"), cancellationToken: Token);

        Assert.Equal(6, sandbox.Starts);
        await sandbox.AssertNothingLeftAsync(Token);
    }

    private static Task<PlanResult> RunAsync(int maxDepth, Func<ScriptedRequest, string> reply) =>
        new Plan(() => new ScriptedChatClient(reply)) { Configure = options => options.MaxDepth = maxDepth }.RunAsync(Token);
}
