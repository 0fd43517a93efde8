using CsCheck;
using DeepRecall.Budgets;
using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Tests.Budgets;

/// <summary>Whatever a tree of runs does, no limit is passed and every call is told.</summary>
public sealed class TreeBudgetTests
{
    private static readonly ModelPricing Pricing = new(InputPerMillion: 3, OutputPerMillion: 15);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task RandomTrees_NeverPassALimitAndTellAllUsage()
    {
        var gen = Gen.Select(Gen.Int[1, int.MaxValue], Gen.Long[15_000, 1_500_000], Gen.Int[5, 500], Gen.Int[10, 400], Gen.Int[1, 3], Gen.Int[1, 24])
            .Select((seed, tokens, cents, subcalls, depth, places) => new Tree(seed, tokens, cents / 100m, subcalls, depth, places));
        await gen.SampleAsync(RunAsync, iter: 6, threads: 1);
    }

    [Theory]
    [InlineData(1, 40_000)]
    [InlineData(2, 4_000_000)]
    public Task FiftyChildrenInThreeLevels_NeverPassALimit(int seed, long tokens) => RunAsync(new Tree(seed, tokens, 1_000, 10_000, 3, 16));

    private static async Task RunAsync(Tree tree)
    {
        var model = new RandomModel(tree.Seed);
        var options = new ChatOptions { AdditionalProperties = [] };
        using var client = Plan.Client(model, own =>
        {
            own.Model = new ModelInfo { Pricing = Pricing };
            own.MaxTokens = tree.Tokens;
            own.MaxCostUsd = tree.CostUsd;
            own.MaxSubcalls = tree.Subcalls;
            own.MaxDepth = tree.Depth;
            own.MaxConcurrentSubcalls = tree.Places;
            own.MaxIterations = 4;
            own.BudgetedOutputTokens = 2_000;
            own.CellTimeout = TimeSpan.FromMinutes(10);
        });
        var response = await client.GetResponseAsync(Script.About("the context"), options, Token);

        var (calls, input, output, cost) = model.Seen;
        Assert.True(input + output <= tree.Tokens, $"{input + output} tokens of {tree}");
        Assert.True(cost <= tree.CostUsd, $"{cost} USD of {tree}");
        Assert.NotEqual(string.Empty, response.Text);
        var trajectory = response.GetTrajectory();
        Assert.NotNull(trajectory);
        Assert.Equal((input, output, calls), (response.Usage?.InputTokenCount, response.Usage?.OutputTokenCount, trajectory.ModelCalls));
        Assert.Equal(Math.Round(cost, 6), Math.Round(response.Usage?.GetCostUsd() ?? 0, 6));
        Assert.True(Subcalls(trajectory) <= tree.Subcalls, $"{Subcalls(trajectory)} sub-calls of {tree}");
        Assert.True(model.MaxInFlight <= tree.Places, $"{model.MaxInFlight} at one time of {tree}");
    }

    private static int Subcalls(RlmTrajectory run) =>
        run.Turns.SelectMany(turn => turn.Cells).SelectMany(cell => cell.Subcalls).Sum(call => 1 + (call.Child is { } child ? Subcalls(child) : 0));

    private sealed record Tree(int Seed, long Tokens, decimal CostUsd, int Subcalls, int Depth, int Places);

    /// <summary>A model of random replies and random usage, within what it is sent and what it is allowed.</summary>
    private sealed class RandomModel(int seed) : IChatClient
    {
        private readonly Lock _lock = new();
        private readonly Random _random = new(seed);
        private (int Calls, long Input, long Output, decimal Cost) _seen;
        private int _inFlight;

        public (int Calls, long Input, long Output, decimal Cost) Seen => _seen;

        public int MaxInFlight { get; private set; }

        public async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
        {
            ChatMessage[] all = [.. messages];
            int input;
            int output;
            string text;
            lock (_lock)
            {
                MaxInFlight = Math.Max(MaxInFlight, ++_inFlight);
                Assert.NotNull(options?.MaxOutputTokens);
                input = _random.Next(1, all.Sum(message => message.Text.Length));
                output = _random.Next(1, options.MaxOutputTokens.Value + 1);
                text = all[0].Role == ChatRole.System ? Code(all) : "a leaf's answer";
                var usage = new UsageDetails { InputTokenCount = input, OutputTokenCount = output };
                _seen = (_seen.Calls + 1, _seen.Input + input, _seen.Output + output, _seen.Cost + Pricing.CostOf(usage));
            }

            await Task.Delay(_random.Next(3), cancellationToken);
            lock (_lock)
            {
                _inFlight--;
            }

            return new ChatResponse(new ChatMessage(ChatRole.Assistant, text))
            {
                Usage = new UsageDetails { InputTokenCount = input, OutputTokenCount = output, TotalTokenCount = input + output },
                FinishReason = ChatFinishReason.Stop,
            };
        }

        public IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
            throw new NotSupportedException();

        public object? GetService(Type serviceType, object? serviceKey = null) => null;

        public void Dispose()
        {
        }

        // The root has fifty children in its first turn, a child at most one of its own; each asks leaves too.
        private string Code(ChatMessage[] messages)
        {
            var isRoot = messages[1].Text.Contains("What is it?", StringComparison.Ordinal);
            var isFirst = messages.Length == 2;
            var children = !isFirst ? 0 : isRoot ? 50 : _random.Next(10) == 0 ? 1 : 0;
            var code = $"a = rlm_query_batched(['task {_random.Next()}'] * {children})\nb = llm_query_batched(['leaf'] * {_random.Next(4)})\n";
            return Script.Code(code + (!isFirst || _random.Next(3) > 0 ? "FINAL(str(len(a) + len(b)))" : "answer['content'] = 'part'"));
        }
    }
}
