using DeepRecall.Repl;
using DeepRecall.Retrieval;
using DeepRecall.Sandboxing;
using DeepRecall.Testing;
using DeepRecall.Tests.Sandboxing;
using Microsoft.Extensions.AI;

namespace DeepRecall.Tests.Diagnostics;

public sealed class MetricTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Request_IsCountedInAllItsParts()
    {
        using var spans = new SpanRecorder();
        using var metrics = new MetricRecorder(spans.Root);
        var options = new ChatOptions { Tools = [AIFunctionFactory.Create(() => 1, "look_up")] };
        using var client = Plan.Client(
            new ScriptedChatClient(request =>
                !request.IsRun ? "leaf"
                : request.FirstText.Contains("Count it", StringComparison.Ordinal) ? Script.Answer("1")
                : request.Turn == 0 ? Script.Code("llm_query('q')\nllm_query(5)\nlook_up()\nrlm_query('Count it')\nsearch_db('s')\ntry:\n    search_db('t')\nexcept Exception: pass\nllm_query('one too many')\n1 / 0")
                : Script.Answer("1")),
            own =>
            {
                own.MaxDepth = 2;
                own.MaxSubcalls = 2;
                own.MaxSearchCalls = 1;
                own.SearchSource = new NoResult();
                own.Model = new ModelInfo { Pricing = new ModelPricing(1_000, 2_000) };
            });

        await client.GetResponseAsync(Script.About("the context"), options, Token);

        Assert.Equal("1x deeprecall.stop_reason=Answered", metrics.Counts("deeprecall.request.duration"));
        Assert.Equal("3", metrics.Sums("deeprecall.turns"));
        Assert.Equal("1 deeprecall.cell.status=Error; 2 deeprecall.cell.status=Ok", metrics.Sums("deeprecall.cells"));
        Assert.Equal("1x deeprecall.cell.status=Error; 2x deeprecall.cell.status=Ok", metrics.Counts("deeprecall.cell.duration"));
        Assert.Equal(
            "1 deeprecall.outcome=ok,deeprecall.subcall.function=llm_query; 1 deeprecall.outcome=ok,deeprecall.subcall.function=look_up; 1 deeprecall.outcome=ok,deeprecall.subcall.function=rlm_query",
            metrics.Sums("deeprecall.subcalls"));
        Assert.Equal("1 deeprecall.outcome=error; 1 deeprecall.outcome=ok", metrics.Sums("deeprecall.searches"));
        Assert.Equal("1 deeprecall.limit=MaxSearchCalls; 1 deeprecall.limit=MaxSubcalls", metrics.Sums("deeprecall.limits"));
        Assert.Equal("40 gen_ai.request.model=scripted-model,gen_ai.token.type=input; 20 gen_ai.request.model=scripted-model,gen_ai.token.type=output", metrics.Sums("deeprecall.tokens"));
        Assert.Equal("0.08 gen_ai.request.model=scripted-model", metrics.Sums("deeprecall.cost"));
        Assert.Equal(
            "4x gen_ai.operation.name=chat,gen_ai.provider.name=scripted,gen_ai.request.model=scripted-model,gen_ai.response.model=scripted-model,gen_ai.token.type=input; "
            + "4x gen_ai.operation.name=chat,gen_ai.provider.name=scripted,gen_ai.request.model=scripted-model,gen_ai.response.model=scripted-model,gen_ai.token.type=output",
            metrics.Counts("gen_ai.client.token.usage"));
        Assert.Equal("2 deeprecall.environment=local,deeprecall.outcome=ok", metrics.Sums("deeprecall.sandbox.starts"));
        Assert.Equal("2x deeprecall.environment=local,deeprecall.outcome=ok", metrics.Counts("deeprecall.sandbox.start.duration"));
        Assert.Equal(
            ["s", "{turn}", "{cell}", "s", "{call}", "{search}", "{limit}", "{token}", "{USD}", "{token}", "{start}", "s"],
            new[] { "request.duration", "turns", "cells", "cell.duration", "subcalls", "searches", "limits", "tokens", "cost" }.Select(name => metrics.Unit($"deeprecall.{name}"))
                .Concat([metrics.Unit("gen_ai.client.token.usage"), metrics.Unit("deeprecall.sandbox.starts"), metrics.Unit("deeprecall.sandbox.start.duration")]));
    }

    [Fact]
    public async Task ClientWithTelemetryOfItsOwn_MeasuresItsTokensItself()
    {
        using var spans = new SpanRecorder();
        using var metrics = new MetricRecorder(spans.Root);
        using var model = new ScriptedChatClient(Script.Answer("1")).AsBuilder().UseOpenTelemetry().Build();
        using var client = Plan.Client(model);

        await client.GetResponseAsync(Script.About("the context"), cancellationToken: Token);

        Assert.Empty(metrics.Counts("gen_ai.client.token.usage"));
        Assert.Equal("10 gen_ai.request.model=scripted-model,gen_ai.token.type=input; 5 gen_ai.request.model=scripted-model,gen_ai.token.type=output", metrics.Sums("deeprecall.tokens"));
    }

    [Fact]
    public async Task RequestThatALimitEnds_SaysWhich()
    {
        using var spans = new SpanRecorder();
        using var metrics = new MetricRecorder(spans.Root);
        using var client = Plan.Client(new ScriptedChatClient(request => request.IsRun ? Script.Code("1 / 0") : "the best"), options => options.MaxConsecutiveErrors = 1);

        await client.GetResponseAsync(Script.About("the context"), cancellationToken: Token);

        Assert.Equal("1x deeprecall.stop_reason=MaxConsecutiveErrors", metrics.Counts("deeprecall.request.duration"));
        Assert.Equal("1 deeprecall.limit=MaxConsecutiveErrors", metrics.Sums("deeprecall.limits"));
    }

    [Fact]
    public async Task RequestThatFails_SaysWhy_AndASandboxThatDoesNotStartIsCounted()
    {
        using var spans = new SpanRecorder();
        using var metrics = new MetricRecorder(spans.Root);
        using var client = Plan.Client(new ScriptedChatClient("unused"), options => options.Sandbox = new FakeSandbox { Failure = new SandboxException("no room") });

        await Assert.ThrowsAsync<SandboxException>(() => client.GetResponseAsync(Script.About("the context"), cancellationToken: Token));

        Assert.Equal("1x deeprecall.stop_reason=Failed,error.type=DeepRecall.Sandboxing.SandboxException", metrics.Counts("deeprecall.request.duration"));
        Assert.Equal("1 deeprecall.environment=fake,deeprecall.outcome=error", metrics.Sums("deeprecall.sandbox.starts"));
    }

    [Fact]
    public async Task SubcallThatTheBudgetRefuses_IsALimitThatWasHit()
    {
        using var spans = new SpanRecorder();
        using var metrics = new MetricRecorder(spans.Root);
        using var client = Plan.Client(
            new ScriptedChatClient(request => request.Turn == 0 ? Script.Code("print(llm_query('x' * 400_000))") : Script.Answer("1")),
            options => options.MaxTokens = 200_000);

        await client.GetResponseAsync(Script.About("the context"), cancellationToken: Token);

        Assert.Equal("1 deeprecall.limit=MaxTokens", metrics.Sums("deeprecall.limits"));
        Assert.Equal("1 deeprecall.outcome=error,deeprecall.subcall.function=llm_query", metrics.Sums("deeprecall.subcalls"));
        Assert.Equal("MaxTokens", spans.One("subcall llm_query").GetTagItem("error.type"));
    }

    [Fact]
    public async Task FunctionThatCodeMadeUp_HasNoSeriesOfItsOwn()
    {
        using var spans = new SpanRecorder();
        using var metrics = new MetricRecorder(spans.Root);
        var options = new ChatOptions { Tools = [AIFunctionFactory.Create(() => 1, "look_up")] };
        using var client = Plan.Client(new ScriptedChatClient(request => request.Turn == 0
            ? Script.Code("dict(zip(look_up.__code__.co_freevars, look_up.__closure__))['name'].cell_contents = 'made_up'\ntry:\n    look_up()\nexcept Exception as e:\n    print(e)")
            : Script.Answer("1")));

        await client.GetResponseAsync(Script.About("the context"), options, Token);

        Assert.Equal("1 deeprecall.outcome=error,deeprecall.subcall.function=_OTHER", metrics.Sums("deeprecall.subcalls"));
    }

    [Fact]
    public async Task Pool_TellsItsIdleProcessesAndWhetherOneWasThere()
    {
        const string Environment = "pool-of-the-metrics-test";
        using var metrics = new MetricRecorder(root: null);
        var sandbox = new FakeSandbox { Name = Environment };
        var pool = new SandboxPool(sandbox, new SandboxPoolOptions { Size = 2 });
        await using (pool)
        {
            await pool.WarmAsync(Token);
            Assert.Equal($"2 deeprecall.environment={Environment}", metrics.Sums("deeprecall.pool.idle", Environment));

            sandbox.Gate = new TaskCompletionSource().Task; // no more are started
            await pool.StartAsync(Request(), Token);
            await pool.StartAsync(Request(), Token);
            Assert.Equal($"0 deeprecall.environment={Environment}", metrics.Sums("deeprecall.pool.idle", Environment));

            using var soon = new CancellationTokenSource(TimeSpan.FromMilliseconds(20));
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pool.StartAsync(Request(), soon.Token));
        }

        Assert.Equal(
            $"1 deeprecall.environment={Environment},deeprecall.pool.hit=False; 2 deeprecall.environment={Environment},deeprecall.pool.hit=True",
            metrics.Sums("deeprecall.pool.takes", Environment));
    }

    [Fact]
    public async Task PoolThatIsDisposed_HasNoIdleProcesses()
    {
        const string Environment = "pool-that-is-disposed";
        using var metrics = new MetricRecorder(root: null);
        await using (var pool = new SandboxPool(new FakeSandbox { Name = Environment }, new SandboxPoolOptions { Size = 3 }))
        {
            await pool.WarmAsync(Token);
            Assert.Equal($"3 deeprecall.environment={Environment}", metrics.Sums("deeprecall.pool.idle", Environment));
        }

        Assert.Equal($"0 deeprecall.environment={Environment}", metrics.Sums("deeprecall.pool.idle", Environment));
    }

    private static SandboxStartRequest Request() => new() { WorkerSource = WorkerSource.Text, Nonce = "mine" };

    private sealed class NoResult : ISearchSource
    {
        public Task<IReadOnlyList<SearchResult>> SearchAsync(SearchRequest request, CancellationToken cancellationToken) =>
            Task.FromResult<IReadOnlyList<SearchResult>>([]);
    }
}
