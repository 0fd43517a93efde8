using System.Diagnostics;
using DeepRecall.Repl;
using DeepRecall.Retrieval;
using DeepRecall.Sandboxing;
using DeepRecall.Testing;
using DeepRecall.Tests.Sandboxing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Tests.Diagnostics;

public sealed class SpanTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Request_IsATreeOfSpans(bool isStreamed)
    {
        using var spans = new SpanRecorder();
        var inTool = string.Empty;
        var options = new ChatOptions { Tools = [AIFunctionFactory.Create((string key) => { inTool = Activity.Current?.DisplayName; return key; }, "look_up")] };
        using var client = Plan.Client(
            new ScriptedChatClient(request =>
                !request.IsRun ? "leaf"
                : request.FirstText.Contains("Count it", StringComparison.Ordinal) ? request.Turn == 0 ? Script.Code("llm_query('of the child')") : Script.Answer("len(context)")
                : request.Turn == 0 ? Script.Code("a = llm_query('of the root')\nb = rlm_query('Count it', context=['a'])\nc = look_up(key='k')\nd = search_db('s')")
                : Script.Answer("a + b")),
            own =>
            {
                own.MaxDepth = 2;
                own.SearchSource = new OneResult();
            });

        var response = await RunAsync(client, Script.About("the context"), options, isStreamed);

        Assert.Equal("leaf1", response.Text);
        Assert.Equal(
            """
            invoke_workflow deeprecall
              turn 1
                chat scripted-model
                execute_cell 1
                  subcall llm_query
                    chat scripted-model
                  subcall rlm_query
                    invoke_workflow deeprecall
                      turn 1
                        chat scripted-model
                        execute_cell 1
                          subcall llm_query
                            chat scripted-model
                      turn 2
                        chat scripted-model
                        execute_cell 2
                  execute_tool look_up
                  search_db
              turn 2
                chat scripted-model
                execute_cell 2
            """.ReplaceLineEndings("\n"),
            spans.Tree());
        Assert.Equal("execute_tool look_up", inTool);
        Assert.Same(spans.Root, Activity.Current);

        var run = spans.Spans[0];
        var trajectory = response.GetTrajectory()!;
        AssertTags(
            run,
            ("gen_ai.operation.name", "invoke_workflow"),
            ("gen_ai.workflow.name", "deeprecall"),
            ("gen_ai.conversation.id", null),
            ("deeprecall.run.id", trajectory.RunId),
            ("deeprecall.depth", 0),
            ("deeprecall.environment", "local"),
            ("deeprecall.stop_reason", "Answered"),
            ("deeprecall.turns", 2),
            ("gen_ai.usage.input_tokens", 60L),
            ("gen_ai.usage.output_tokens", 30L),
            ("error.type", null));
        Assert.Equal((ActivityKind.Internal, ActivityStatusCode.Unset, spans.Root.SpanId), (run.Kind, run.Status, run.ParentSpanId));
        Assert.Equal(typeof(DeepRecallChatClient).Assembly.GetName().Version?.ToString(3), run.Source.Version);

        var child = Assert.Single(spans.Spans, span => span.DisplayName == run.DisplayName && span != run);
        AssertTags(child, ("deeprecall.depth", 1), ("deeprecall.turns", 2), ("gen_ai.usage.input_tokens", 30L), ("deeprecall.run.id", trajectory.Turns[0].Cells[0].Subcalls[1].Child!.RunId));
        AssertTags(spans.Spans[1], ("deeprecall.turn", 1));
        AssertTags(
            spans.Spans[2],
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.provider.name", "scripted"),
            ("gen_ai.request.model", "scripted-model"),
            ("gen_ai.response.model", "scripted-model"),
            ("gen_ai.usage.input_tokens", 10L),
            ("gen_ai.usage.output_tokens", 5L));
        Assert.Equal(["stop"], Assert.IsType<string[]>(spans.Spans[2].GetTagItem("gen_ai.response.finish_reasons")));
        Assert.Equal(ActivityKind.Client, spans.Spans[2].Kind);
        AssertTags(
            spans.Spans[3],
            ("gen_ai.operation.name", "execute_tool"),
            ("gen_ai.tool.name", "python"),
            ("deeprecall.cell.number", 1),
            ("deeprecall.cell.status", "Ok"),
            ("deeprecall.environment", "local"));
        AssertTags(spans.Spans[4], ("deeprecall.subcall.function", "llm_query"), ("deeprecall.subcall.number", 1), ("deeprecall.subcall.model", "default"), ("error.type", null));
        AssertTags(spans.One("execute_tool look_up"), ("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", "look_up"), ("deeprecall.subcall.model", null));
    }

    [Fact]
    public async Task CallsInParallel_AreEachBelowTheirOwnSubcall()
    {
        using var spans = new SpanRecorder();
        using var client = Plan.Client(new ScriptedChatClient(request =>
            !request.IsRun ? "leaf" : request.Turn == 0 ? Script.Code("llm_query_batched(['a', 'b', 'c'])") : Script.Answer("1")));

        await client.GetResponseAsync(Script.About("the context"), cancellationToken: Token);

        var calls = spans.Spans.Where(span => span.DisplayName == "subcall llm_query_batched").ToList();
        Assert.Equal(3, calls.Count);
        Assert.All(calls, call =>
        {
            Assert.Equal("execute_cell 1", spans.Parent(call).DisplayName);
            Assert.Equal("chat scripted-model", Assert.Single(spans.Spans, span => span.ParentSpanId == call.SpanId).DisplayName);
        });
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task RequestThatFails_SaysSoFromTheCallToTheRun(bool isStreamed)
    {
        using var spans = new SpanRecorder();
        using var client = Plan.Client(new ScriptedChatClient(request => request.Turn == 0 ? Script.Code("1 / 0") : throw new InvalidOperationException("the secret of the provider")));

        await Assert.ThrowsAsync<InvalidOperationException>(() => RunAsync(client, Script.About("the context"), null, isStreamed));

        Assert.Equal(
            """
            invoke_workflow deeprecall
              turn 1
                chat scripted-model
                execute_cell 1
              turn 2
                chat scripted-model
            """.ReplaceLineEndings("\n"),
            spans.Tree());
        var all = spans.Spans;
        foreach (var failed in new[] { all[0], all[4], all[5] })
        {
            Assert.Equal((ActivityStatusCode.Error, null), (failed.Status, failed.StatusDescription));
            AssertTags(failed, ("error.type", "System.InvalidOperationException"));
        }

        AssertTags(all[0], ("deeprecall.stop_reason", "Failed"), ("deeprecall.turns", 1), ("gen_ai.usage.input_tokens", 10L));
        AssertTags(all[3], ("deeprecall.cell.status", "Error"), ("error.type", "ZeroDivisionError"));
        Assert.Equal(ActivityStatusCode.Unset, all[1].Status);
        Assert.Equal(ActivityStatusCode.Error, all[3].Status);
    }

    [Fact]
    public async Task SubcallsThatFail_SaySo()
    {
        using var spans = new SpanRecorder();
        var options = new ChatOptions { Tools = [AIFunctionFactory.Create(Fail, "fail")] };
        using var client = Plan.Client(new ScriptedChatClient(request =>
            !request.IsRun ? request.LastText == "blank" ? " " : throw new TimeoutException("late")
            : request.Turn == 0 ? Script.Code("llm_query('blank')\nllm_query('late')\ntry:\n    fail()\nexcept Exception: pass") : Script.Answer("1")));

        await client.GetResponseAsync(Script.About("the context"), options, Token);

        var failed = spans.Spans.Where(span => span.Status == ActivityStatusCode.Error).Select(span => $"{span.DisplayName}: {span.GetTagItem("error.type")}");
        Assert.Equal(
            ["subcall llm_query: _OTHER", "subcall llm_query: System.TimeoutException", "chat scripted-model: System.TimeoutException", "execute_tool fail: System.FormatException"],
            failed);

        static string Fail() => throw new FormatException("no");
    }

    [Fact]
    public async Task RunThatALimitEnds_AsksItsClosingQuestionInTheRunsSpan()
    {
        using var spans = new SpanRecorder();
        using var client = Plan.Client(
            new ScriptedChatClient(request => request.IsRun ? Script.Code("1 / 0") : "the best"),
            options =>
            {
                options.MaxConsecutiveErrors = 1;
                options.OnLimit = LimitBehavior.Throw;
            });

        await Assert.ThrowsAsync<BudgetExceededException>(() => client.GetResponseAsync(Script.About("the context"), cancellationToken: Token));

        Assert.Equal("invoke_workflow deeprecall\n  turn 1\n    chat scripted-model\n    execute_cell 1\n  chat scripted-model", spans.Tree());
        AssertTags(spans.Spans[0], ("deeprecall.stop_reason", "MaxConsecutiveErrors"), ("error.type", "DeepRecall.BudgetExceededException"));
    }

    [Fact]
    public async Task Summary_IsAModelCallOfTheRun()
    {
        using var spans = new SpanRecorder();
        using var client = Plan.Client(
            new ScriptedChatClient((request, _) => Task.FromResult(new ChatResponse(new ChatMessage(
                ChatRole.Assistant,
                request.LastText.Contains("ummar", StringComparison.Ordinal) && request.Turn == 1 ? "the summary" : request.Turn == 0 ? Script.Code("print(1)") : Script.Answer("1")))
            {
                Usage = new UsageDetails { InputTokenCount = 900, OutputTokenCount = 50 },
            })),
            options => options.Model = new ModelInfo { ContextWindow = 1_000 });

        var response = await client.GetResponseAsync(Script.About("the context"), cancellationToken: Token);

        Assert.Single(response.GetTrajectory()!.Compactions);
        Assert.Equal(
            "invoke_workflow deeprecall\n  turn 1\n    chat scripted-model\n    execute_cell 1\n  chat scripted-model\n  turn 2\n    chat scripted-model\n    execute_cell 2",
            spans.Tree());
    }

    [Fact]
    public async Task ConsumerThatStopsReading_EndsEverySpan()
    {
        using var spans = new SpanRecorder();
        using var client = Plan.Client(new ScriptedChatClient(async (request, token) =>
        {
            if (!request.IsRun)
            {
                await Task.Delay(Timeout.Infinite, token);
            }

            return new ChatResponse(new ChatMessage(ChatRole.Assistant, Script.Code("llm_query('q')")));
        }));

        await foreach (var update in client.GetStreamingResponseAsync(Script.About("the context"), cancellationToken: Token))
        {
            if (update.GetDeepRecallEvents().OfType<SubcallStartedEvent>().Any())
            {
                break;
            }
        }

        Assert.StartsWith("invoke_workflow deeprecall\n  turn 1\n    chat scripted-model\n    execute_cell 1\n      subcall llm_query", spans.Tree(), StringComparison.Ordinal);
        AssertTags(spans.Spans[0], ("deeprecall.stop_reason", "Cancelled"));
        AssertTags(spans.One("execute_cell 1"), ("deeprecall.cell.status", "Interrupted"));
    }

    [Fact]
    public async Task ProcessThatAPoolStartsForLater_IsNoPartOfTheRequestsTrace()
    {
        using var spans = new SpanRecorder();
        var sandbox = new FakeSandbox();
        await using var pool = new SandboxPool(sandbox, new SandboxPoolOptions { Size = 1 });

        await pool.StartAsync(new SandboxStartRequest { WorkerSource = WorkerSource.Text, Nonce = "mine" }, Token);
        while (sandbox.Started.Count < 2)
        {
            await Task.Delay(5, Token);
        }

        Assert.Equal([spans.Root, null], sandbox.Started.Select(process => process.StartedIn));
    }

    [Fact]
    public async Task Conversation_IsNamed_AndItsNextRequestHasATreeOfItsOwn()
    {
        using var spans = new SpanRecorder();
        using var client = Plan.Client(
            new ScriptedChatClient(request => !request.IsRun ? "leaf" : Script.Answer("llm_query('q')")),
            options => options.Persistent = true);

        await client.GetResponseAsync(Script.About("the context"), new ChatOptions { ConversationId = "mine" }, Token);
        await client.GetResponseAsync(Script.Ask("And now?"), new ChatOptions { ConversationId = "mine" }, Token);

        const string Each = "invoke_workflow deeprecall\n  turn 1\n    chat scripted-model\n    execute_cell 1\n      subcall llm_query\n        chat scripted-model";
        Assert.Equal($"{Each}\n{Each}", spans.Tree());
        Assert.All(spans.Spans.Where(span => span.DisplayName == "invoke_workflow deeprecall"), run => AssertTags(run, ("gen_ai.conversation.id", "mine")));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ClientWithTelemetryOfItsOwn_MakesTheChatSpanInsideOfOurs(bool isStreamed)
    {
        using var spans = new SpanRecorder("The client's");
        using var model = new ScriptedChatClient(request => !request.IsRun ? "leaf" : Script.Answer("llm_query('q')")).AsBuilder().UseOpenTelemetry(sourceName: "The client's").Build();
        using var client = Plan.Client(model);

        await RunAsync(client, Script.About("the context"), null, isStreamed);

        Assert.Equal(
            "invoke_workflow deeprecall\n  turn 1\n    chat scripted-model\n    execute_cell 1\n      subcall llm_query\n        chat scripted-model",
            spans.Tree());
        Assert.All(spans.Spans.Where(span => span.DisplayName == "chat scripted-model"), chat => Assert.Equal("The client's", chat.Source.Name));
    }

    [Fact]
    public async Task CallsOfARequest_BelongToItsTrace_AlsoWhenNobodyListensToUs()
    {
        // Spans of others, such as those of HTTP, must not lose their way because the call came through a pipe.
        using var root = new Activity("test").SetIdFormat(ActivityIdFormat.W3C).Start();
        ActivityTraceId? seen = null;
        using var client = Plan.Client(new ScriptedChatClient(request =>
        {
            if (!request.IsRun)
            {
                seen = Activity.Current?.TraceId;
                return "leaf";
            }

            return Script.Answer("llm_query('q')");
        }));

        await client.GetResponseAsync(Script.About("the context"), cancellationToken: Token);

        Assert.Equal(root.TraceId, seen);
    }

    [Fact]
    public async Task ConsumerOfAStream_KeepsItsOwnActivity()
    {
        using var spans = new SpanRecorder();
        using var client = Plan.Client(new ScriptedChatClient(Script.Code("print(1)"), Script.Answer("1")));

        await foreach (var _ in client.GetStreamingResponseAsync(Script.About("the context"), cancellationToken: Token))
        {
            Assert.Same(spans.Root, Activity.Current);
        }

        Assert.Same(spans.Root, Activity.Current);
    }

    [Fact]
    public async Task WhatWasAskedAndAnswered_IsNotToldByDefault()
    {
        using var spans = new SpanRecorder();
        await RunWithSecretsAsync(enable: null);

        Assert.NotEmpty(spans.Spans);
        Assert.All(spans.Spans, span =>
        {
            Assert.DoesNotContain("secret", string.Join('\n', span.TagObjects.Select(tag => $"{tag.Key}={tag.Value}")), StringComparison.Ordinal);
            Assert.DoesNotContain("secret", $"{span.DisplayName} {span.StatusDescription}", StringComparison.Ordinal);
        });
    }

    [Fact]
    public async Task WhatWasAskedAndAnswered_IsToldWhereThatIsEnabled()
    {
        using var spans = new SpanRecorder();
        await RunWithSecretsAsync(enable: true);

        AssertTags(spans.Spans[0], ("deeprecall.question", "secret question?"), ("deeprecall.answer", "secret answer"));
        var chat = spans.Spans[2];
        Assert.Contains("""{"role":"user","parts":[{"type":"text","content":""", Assert.IsType<string>(chat.GetTagItem("gen_ai.input.messages")), StringComparison.Ordinal);
        Assert.StartsWith("""[{"role":"assistant","parts":[{"type":"text","content":"```repl\nprint('secret output')""", Assert.IsType<string>(chat.GetTagItem("gen_ai.output.messages")), StringComparison.Ordinal);
        Assert.EndsWith("""}],"finish_reason":"stop"}]""", (string?)chat.GetTagItem("gen_ai.output.messages"), StringComparison.Ordinal);
        var cell = spans.Spans[3];
        Assert.StartsWith("print('secret output')", (string?)cell.GetTagItem("deeprecall.cell.code"), StringComparison.Ordinal);
        AssertTags(cell, ("deeprecall.cell.output", "secret output\n"));
        var query = Assert.Single(spans.Spans, span => span.ParentSpanId == spans.One("subcall llm_query").SpanId);
        AssertTags(
            query,
            ("gen_ai.input.messages", $$"""[{"role":"user","parts":[{"type":"text","content":"secret prompt{{new string('x', 4_000 - "secret prompt".Length)}}"}]}]"""),
            ("gen_ai.output.messages", """[{"role":"assistant","parts":[{"type":"text","content":"secret reply"}],"finish_reason":"stop"}]"""));
        var tool = spans.One("execute_tool look_up");
        AssertTags(tool, ("gen_ai.tool.call.arguments", """{"key":"secret key"}"""), ("gen_ai.tool.call.result", "\"secret value\""));
        var failed = spans.One("execute_tool fail");
        Assert.Contains("secret failure", failed.StatusDescription, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, false)]
    [InlineData("", false)]
    [InlineData("false", false)]
    [InlineData("1", false)]
    [InlineData("true", true)]
    [InlineData("True", true)]
    public void Variable_SaysWhetherItIsEnabled(string? value, bool isEnabled) => Assert.Equal(isEnabled, DeepRecall.Diagnostics.Telemetry.SaysTrue(value));

    private static async Task RunWithSecretsAsync(bool? enable)
    {
        using var client = Plan.Client(
            new ScriptedChatClient(request =>
                !request.IsRun ? "secret reply"
                : request.Turn == 0 ? Script.Code("print('secret output')\nllm_query('secret prompt' + 'x' * 5000)\nlook_up(key='secret key')\ntry:\n    fail()\nexcept Exception: pass")
                : request.Turn == 1 ? Script.Code("raise ValueError('secret error')")
                : Script.Answer("'secret answer'")),
            options =>
            {
                if (enable is { } value)
                {
                    options.EnableSensitiveTelemetry = value;
                }
            });
        var tools = new ChatOptions
        {
            Tools =
            [
                AIFunctionFactory.Create((string key) => key.Replace("key", "value", StringComparison.Ordinal), "look_up"),
                AIFunctionFactory.Create(Fail, "fail"),
            ],
        };
        var response = await client.GetResponseAsync(Script.About("secret context", "secret question?"), tools, Token);
        Assert.Equal("secret answer", response.Text);

        static string Fail() => throw new InvalidOperationException("secret failure");
    }

    private static async Task<ChatResponse> RunAsync(DeepRecallChatClient client, ChatMessage[] messages, ChatOptions? options, bool isStreamed) =>
        isStreamed
            ? await client.GetStreamingResponseAsync(messages, options, Token).ToChatResponseAsync(Token)
            : await client.GetResponseAsync(messages, options, Token);

    private static void AssertTags(Activity span, params (string Name, object? Value)[] expected) =>
        Assert.Equal(expected, expected.Select(tag => (tag.Name, span.GetTagItem(tag.Name))));

    private sealed class OneResult : ISearchSource
    {
        public Task<IReadOnlyList<SearchResult>> SearchAsync(SearchRequest request, CancellationToken cancellationToken) =>
            Task.FromResult<IReadOnlyList<SearchResult>>([new SearchResult("found", 1)]);
    }
}
