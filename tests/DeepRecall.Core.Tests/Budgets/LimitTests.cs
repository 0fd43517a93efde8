using DeepRecall.Budgets;
using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Tests.Budgets;

/// <summary>What a request comes to when a limit trips.</summary>
public sealed class LimitTests
{
    private static readonly ModelInfo Priced = new() { Pricing = new ModelPricing(1_000, 1_000) };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task AnswerOnTheTurnWhereTheTokensTrip_IsReturned()
    {
        // The second reply takes all that is left.
        var result = await new Plan(() => Model(Usage(1_000), Usage(200_000), Script.Code("x = 1"), Script.Answer("'found'")))
        {
            Configure = options => options.MaxTokens = 60_000,
        }.RunAsync(Token);

        Assert.Equal(("found", ChatFinishReason.Stop, StopReason.Answered), (result.Text, result.Response.FinishReason, result.Trajectory.StopReason));
    }

    [Fact]
    public async Task TokensThatAreUsed_EndTheRunWithWhatTheAnswerHolds()
    {
        var result = await new Plan(() => Model(Usage(1_000), Usage(55_000), Script.Code("answer['content'] = 'half of it'"), Script.Code("x = 2"), Script.Code("unreached")))
        {
            Configure = options => options.MaxTokens = 60_000,
        }.RunAsync(Token);

        Assert.Equal(("half of it", ChatFinishReason.Length, StopReason.MaxTokens), (result.Text, result.Response.FinishReason, result.Trajectory.StopReason));
        Assert.Contains("MaxTokens", result.Trajectory.StopDetail, StringComparison.Ordinal);
        Assert.Equal(2, result.Trajectory.Turns.Count);
        Assert.Equal(2, result.Model.Requests.Count);
    }

    [Fact]
    public async Task TokensThatAreUsedWithNothingWritten_AreFollowedByOneLastQuestion()
    {
        var result = await new Plan(() => new ScriptedChatClient(Reply(request =>
            request.IsRun ? (Script.Code("print('the code word is heron')"), Usage(52_000)) : ("It is heron, I think.", Usage(100)))))
        {
            Configure = options => options.MaxTokens = 60_000,
        }.RunAsync(Token);

        Assert.Equal(("It is heron, I think.", ChatFinishReason.Length, StopReason.MaxTokens), (result.Text, result.Response.FinishReason, result.Trajectory.StopReason));
        var last = result.Model.Requests[^1];
        Assert.Contains("What is it?", last.LastText, StringComparison.Ordinal);
        Assert.Contains("the code word is heron", last.LastText, StringComparison.Ordinal);
        Assert.InRange(last.Options!.MaxOutputTokens!.Value, 100, 1_000);
        Assert.Equal(52_100, result.Response.Usage?.TotalTokenCount);
    }

    [Fact]
    public async Task LastQuestionThatFails_LeavesAStatement()
    {
        var result = await new Plan(() => new ScriptedChatClient(Reply(request =>
            request.IsRun ? (Script.Code("x = 1"), Usage(52_000)) : throw new InvalidOperationException("down"))))
        {
            Configure = options => options.MaxTokens = 60_000,
        }.RunAsync(Token);

        Assert.StartsWith("No answer was found before the run was ended: the token budget (MaxTokens)", result.Text, StringComparison.Ordinal);
        Assert.Equal(ChatFinishReason.Length, result.Response.FinishReason);
        Assert.Null(result.Trajectory.Answer);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task LimitOfACallerWhoWantsAnException_IsOneThatCarriesEverything(bool streamed)
    {
        var model = Model(Usage(1_000), Usage(55_000), Script.Code("answer['content'] = 'half of it'"), Script.Code("x = 2"));
        using var client = Plan.Client(model, options =>
        {
            options.MaxTokens = 60_000;
            options.OnLimit = LimitBehavior.Throw;
        });

        var error = await Assert.ThrowsAsync<BudgetExceededException>(() => streamed
            ? client.GetStreamingResponseAsync(Script.About("c"), cancellationToken: Token).ToChatResponseAsync(Token)
            : client.GetResponseAsync(Script.About("c"), cancellationToken: Token));

        Assert.Equal((StopReason.MaxTokens, "half of it"), (error.Limit, error.PartialAnswer));
        Assert.Equal(56_000, error.Usage.TotalTokenCount);
        Assert.Equal(2, error.Trajectory.Turns.Count);
        Assert.Same(error.Trajectory, error.GetTrajectory());
        Assert.Contains("MaxTokens", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task SubcallThatDoesNotFit_IsAnErrorThatSaysWhatIsLeft_AndTheRunGoesOn()
    {
        var sub = new ScriptedChatClient(_ => "yes") { Usage = Usage(19_000) };
        var result = await new Plan(
            Script.Code("print(llm_query('a'))\nprint(llm_query('b'))\nprint(llm_query('c' * 50000))"),
            Script.Answer("'done'"))
        {
            Configure = options =>
            {
                options.SubClients.Add(new SubClient("sub", sub));
                options.MaxTokens = 90_000;
            },
        }.RunAsync(Token);

        Assert.Equal(("done", StopReason.Answered), (result.Text, result.Trajectory.StopReason));
        var lines = result.Output.Split('\n');
        Assert.Equal("yes", lines[0]);
        Assert.Equal("yes", lines[1]);
        Assert.StartsWith("Error: the token budget (MaxTokens) does not allow this call: 38,015 of 90,000 tokens are used, 42,985 are left", lines[2], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Cost_IsBoundedByPriceAndSummedFromUsage()
    {
        // 1,000 USD for a million tokens: a tenth of a cent a token.
        var sub = new ScriptedChatClient(_ => "yes") { Usage = Usage(2_000) };
        var result = await new Plan(() => Model(Usage(1_000), Usage(1_000), Script.Code("print(llm_query('a'), llm_query('b'), llm_query('d' * 9000), sep='\\n')"), Script.Answer("'done'")))
        {
            Configure = options =>
            {
                options.Model = Priced;
                options.SubClients.Add(new SubClient("sub", sub, new ChatOptions { MaxOutputTokens = 1_000 }) { Model = Priced });
                options.MaxCostUsd = 14;
                options.BudgetedOutputTokens = 1_000;
            },
        }.RunAsync(Token);

        Assert.Contains("yes\nyes\nError: the cost budget (MaxCostUsd) does not allow this call: 5 of 14 USD are spent, ", result.Output, StringComparison.Ordinal);
        Assert.Equal(6m, result.Response.Usage?.GetCostUsd());
        Assert.Equal(6m, result.Response.AdditionalProperties?[UsageCostExtensions.CostProperty]);
    }

    [Fact]
    public void CostLimitWithoutAPrice_IsRefusedWhenTheClientIsMade()
    {
        var error = Assert.Throws<ArgumentException>(() => Plan.Client(new ScriptedChatClient("x"), options =>
        {
            options.MaxCostUsd = 1;
            options.SubClients.Add(new SubClient("known", new ScriptedChatClient("x")) { Model = Priced });
            options.SubClients.Add(new SubClient("mini", new ScriptedChatClient("x")));
        }));
        Assert.Contains("MaxCostUsd is 1, and the price of the wrapped client and the sub-client 'mini' is not known", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CostLimitOfARequestWithoutAPrice_IsRefused()
    {
        using var client = Plan.Client(new ScriptedChatClient("x"));
        var error = await Assert.ThrowsAsync<ArgumentException>(() => client.GetResponseAsync("q", new ChatOptions().WithDeepRecall(own => own.MaxCostUsd = 1), Token));
        Assert.Contains("the price of the wrapped client is not known", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CostLimitOfARequestForAnotherModel_IsRefused_BecauseItsPriceIsNotKnown()
    {
        using var client = Plan.Client(new ScriptedChatClient(Script.Answer("1")), options =>
        {
            options.Model = Priced;
            options.MaxCostUsd = 100;
        });
        var error = await Assert.ThrowsAsync<ArgumentException>(() => client.GetResponseAsync(Script.About("c"), new ChatOptions { ModelId = "dearer" }, Token));
        Assert.Contains("ModelId is 'dearer', whose price is not known: the one that is known is that of 'scripted-model'", error.Message, StringComparison.Ordinal);
        Assert.Equal("1", (await client.GetResponseAsync(Script.About("c"), new ChatOptions { ModelId = "scripted-model" }, Token)).Text);
    }

    [Fact]
    public async Task ClientThatTellsItsPrice_NeedsNoOption()
    {
        var model = new ScriptedChatClient(Script.Answer("'a'"));
        using var told = new ToldClient(model, Priced with { MaxOutputTokens = 300 });
        using var client = Plan.Client(told, options => options.MaxCostUsd = 100);
        var response = await client.GetResponseAsync(Script.About("c"), cancellationToken: Token);

        Assert.Equal(0.015m, response.Usage?.GetCostUsd());
        Assert.Equal(300, model.Requests[0].Options?.MaxOutputTokens);
    }

    [Fact]
    public async Task CallWithoutALimitOnTokensOrCost_KeepsItsOptions()
    {
        var result = await new Plan(Script.Code("llm_query('a')"), Script.Answer("'a'"))
        {
            Configure = options => options.SubClients.Add(new SubClient("sub", new ScriptedChatClient("x"))),
        }.RunAsync(Token);
        Assert.All(result.Model.Requests, request => Assert.Null(request.Options?.MaxOutputTokens));
    }

    [Fact]
    public async Task Subcalls_AreCountedOverTheTreeAndRefusedBeyondTheirLimit()
    {
        var result = await new Plan(() => new ScriptedChatClient(request =>
            !request.IsRun ? "leaf"
            : request.FirstText.Contains("child task", StringComparison.Ordinal) ? Script.Answer("'; '.join(llm_query_batched(['x', 'y']))")
            : request.Turn == 0 ? Script.Code("print(rlm_query('child task'))\nprint(llm_query('z'))\nprint(rlm_query('child task'))")
            : Script.Answer("'end'")))
        {
            AnyOrder = true,
            Configure = options =>
            {
                options.MaxDepth = 2;
                options.MaxSubcalls = 4;
            },
        }.RunAsync(Token);

        Assert.Equal("leaf; leaf\nleaf\nError: all 4 sub-calls (MaxSubcalls) are used, 0 are left; go on with what you have\n", result.Output);
    }

    [Fact]
    public async Task PromptOfASubcallThatIsTooLong_IsRefusedWithAHint()
    {
        var sub = new ScriptedChatClient("short");
        var result = await new Plan(Script.Code("print(llm_query('x' * 101))\nprint(llm_query('x' * 100))\nprint(rlm_query('q', 'y' * 200))"), Script.Answer("1"))
        {
            Configure = options =>
            {
                options.MaxSubcallPromptChars = 100;
                options.SubClients.Add(new SubClient("sub", sub));
            },
        }.RunAsync(Token);

        var lines = result.Output.Split('\n');
        Assert.StartsWith("Error: the prompt has 101 characters, the limit is 100 (MaxSubcallPromptChars); cut the text into pieces", lines[0], StringComparison.Ordinal);
        Assert.Equal("short", lines[1]);
        Assert.StartsWith("Error: the prompt has 212 characters", lines[2], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("1/0")]
    [InlineData(null)]
    public async Task TurnsInARowThatFail_EndTheRun(string? code)
    {
        var failing = code is null ? "I think." : Script.Code(code);
        string[] replies = [failing, Script.Code("x = 1"), failing, failing, failing];
        var result = await new Plan(() => new ScriptedChatClient(request => request.IsRun ? replies[request.Turn] : "what I have"))
        {
            Configure = options => options.MaxConsecutiveErrors = 2,
        }.RunAsync(Token);

        Assert.Equal(StopReason.MaxConsecutiveErrors, result.Trajectory.StopReason);
        Assert.Equal(4, result.Trajectory.Turns.Count);
        Assert.Equal("2 turns in a row failed (MaxConsecutiveErrors)", result.Trajectory.StopDetail);
        Assert.Equal("what I have", result.Text);
    }

    [Fact]
    public async Task AnswerInTheTurnThatIsOneFailureTooMany_IsReturned()
    {
        var result = await new Plan(Script.Code("1/0"), Script.Code("FINAL('in time')\n1/0"))
        {
            Configure = options => options.MaxConsecutiveErrors = 2,
        }.RunAsync(Token);

        Assert.Equal(("in time", StopReason.Answered), (result.Text, result.Trajectory.StopReason));
    }

    [Fact]
    public async Task TurnsThatAreUsed_AreALimitToo()
    {
        using var client = Plan.Client(new ScriptedChatClient(Script.Code("x = 1"), "My guess is 5."), options =>
        {
            options.MaxIterations = 1;
            options.OnLimit = LimitBehavior.Throw;
        });
        var error = await Assert.ThrowsAsync<BudgetExceededException>(() => client.GetResponseAsync(Script.About("c"), cancellationToken: Token));
        Assert.Equal((StopReason.MaxIterations, "My guess is 5."), (error.Limit, error.PartialAnswer));
    }

    [Fact]
    public async Task ChildThatTheBudgetEnds_GivesItsParentWhatItHas()
    {
        // The child's second turn does not fit any more, while the parent's sub-model still does.
        var result = await new Plan(() => new ScriptedChatClient(Reply(request =>
            request.IsRun && request.FirstText.Contains("child task", StringComparison.Ordinal) ? (Script.Code($"answer['content'] = 'so far'\nprint('{new string('x', 15_000)}')"), Usage(30_000))
            : request.IsRun && request.Turn == 0 ? (Script.Code("print(rlm_query('child task'))"), Usage(1_000))
            : (Script.Answer("'the end'"), Usage(100)))))
        {
            Configure = options =>
            {
                options.MaxDepth = 2;
                options.MaxTokens = 56_000;
                options.BudgetedOutputTokens = 1_000;
            },
        }.RunAsync(Token);

        Assert.Equal("so far\n", result.Output);
        Assert.Equal(StopReason.MaxTokens, Assert.Single(result.Subcalls).Child?.StopReason);
        Assert.Equal("the end", result.Text);
    }

    [Fact]
    public async Task CallThatTellsNoUsage_CountsByItsTexts()
    {
        var sub = new ScriptedChatClient(_ => new string('y', 5_000)) { Usage = null };
        var result = await new Plan(Script.Code("for i in range(5): print(llm_query('x' * 5000)[:20])"), Script.Answer("1"))
        {
            Configure = options =>
            {
                options.SubClients.Add(new SubClient("sub", sub, new ChatOptions { MaxOutputTokens = 5_100 }));
                options.MaxTokens = 45_000;
            },
        }.RunAsync(Token);

        var lines = result.Output.TrimEnd().Split('\n');
        Assert.Equal(["yyyyyyyyyyyyyyyyyyyy", "yyyyyyyyyyyyyyyyyyyy", "yyyyyyyyyyyyyyyyyyyy", "yyyyyyyyyyyyyyyyyyyy", "Error: the token bud"], lines);
    }

    [Fact]
    public async Task CallThatFails_TakesNothingOfTheBudget()
    {
        var sub = new ScriptedChatClient(request => request.LastText == "fail" ? throw new InvalidOperationException("down") : "yes") { Usage = Usage(100) };
        var result = await new Plan(Script.Code("for i in range(10): llm_query('fail')\nprint(llm_query('ok'))"), Script.Answer("1"))
        {
            Configure = options =>
            {
                options.SubClients.Add(new SubClient("sub", sub));
                options.MaxTokens = 40_000;
            },
        }.RunAsync(Token);
        Assert.Equal("yes\n", result.Output);
    }

    [Fact]
    public async Task CountOfTokens_ReplacesTheBytesOfAPrompt()
    {
        var sub = new ScriptedChatClient(_ => "yes") { Usage = Usage(10_000) };
        var result = await new Plan(Script.Code("print(llm_query('x' * 40000))"), Script.Answer("1"))
        {
            Configure = options =>
            {
                options.SubClients.Add(new SubClient("sub", sub));
                options.MaxTokens = 40_000;
                options.CountTokens = text => text.Length / 4;
            },
        }.RunAsync(Token);
        Assert.Equal("yes\n", result.Output);
    }

    [Fact]
    public async Task OptionsOfARequest_ReplaceTheClientsAndAreNotSentOn()
    {
        var model = new ScriptedChatClient(Script.Code("x = 1"), "late");
        using var client = Plan.Client(model);
        var options = new ChatOptions { Temperature = 0.5f }.WithDeepRecall(own => own.MaxIterations = 1).WithDeepRecall(own => own.MaxOutputChars = 500);
        var response = await client.GetResponseAsync(Script.About("c"), options, Token);

        Assert.Equal(("late", StopReason.MaxIterations), (response.Text, response.GetTrajectory()?.StopReason));
        Assert.All(model.Requests, request => Assert.Empty(request.Options?.AdditionalProperties ?? []));
        Assert.Contains("at most 500 characters", model.Requests[0].Messages[0].Text, StringComparison.Ordinal);
        Assert.Single(options.AdditionalProperties!);
    }

    [Fact]
    public async Task OptionsOfARequestThatAreOutOfRange_AreAllNamed()
    {
        using var client = Plan.Client(new ScriptedChatClient("x"));
        var options = new ChatOptions().WithDeepRecall(own =>
        {
            own.MaxIterations = 0;
            own.MaxTokens = -1;
            own.CompactionThreshold = 1.5;
        });
        var error = await Assert.ThrowsAsync<ArgumentException>(() => client.GetResponseAsync("q", options, Token));
        Assert.Contains("MaxIterations is 0; it must be 1 or more. MaxTokens is -1; it must be 1 or more. CompactionThreshold is 1.5; it must be more than 0 and at most 1, or null to turn compaction off.", error.Message, StringComparison.Ordinal);
    }

    private static UsageDetails Usage(long total) => new() { InputTokenCount = total - (total / 10), OutputTokenCount = total / 10, TotalTokenCount = total };

    private static Func<ScriptedRequest, CancellationToken, Task<ChatResponse>> Reply(Func<ScriptedRequest, (string Text, UsageDetails Usage)> reply) =>
        (request, _) =>
        {
            var (text, usage) = reply(request);
            return Task.FromResult(new ChatResponse(new ChatMessage(ChatRole.Assistant, text)) { Usage = usage });
        };

    /// <summary>A model whose first reply takes so much, and every later one so much.</summary>
    private static ScriptedChatClient Model(UsageDetails first, UsageDetails later, params string[] replies) =>
        new(Reply(request => (replies[request.Turn], request.Turn == 0 ? first : later)));

    /// <summary>A client that tells what is known of its model, as those of DeepRecall.Backends do.</summary>
    private sealed class ToldClient(IChatClient inner, ModelInfo info) : DelegatingChatClient(inner)
    {
        public override object? GetService(Type serviceType, object? serviceKey = null) =>
            serviceType == typeof(ModelInfo) ? info : base.GetService(serviceType, serviceKey);
    }
}
