using CsCheck;
using DeepRecall.Budgets;
using DeepRecall.Trajectory;

namespace DeepRecall.Tests.Budgets;

public sealed class BudgetLedgerTests
{
    private static readonly ModelPricing Pricing = new(InputPerMillion: 2, OutputPerMillion: 10);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task CallThatFits_IsReservedWithAllItsOutput()
    {
        var ledger = Ledger(tokens: 10_000);
        var held = await ReserveAsync(ledger, input: 1_000, output: 2_000);

        Assert.Equal((2_000, 3_000L), (held.Output, held.Tokens));
        Assert.Equal(3_000, ledger.Held.Tokens);
        held.Settle(1_500, 0);
        Assert.Equal(0, ledger.Held.Tokens);
    }

    [Fact]
    public async Task ReplyThatDoesNotFitWhole_IsShortened()
    {
        var ledger = Ledger(tokens: 10_000);
        (await ReserveAsync(ledger, 1, 1)).Settle(6_000, 0);

        // A tenth is kept for the end: 3,000 are left.
        Assert.Equal(2_000, (await ReserveAsync(ledger, 1_000, 8_000)).Output);
    }

    [Fact]
    public async Task CallThatDoesNotFit_IsRefusedWithWhatIsLeft()
    {
        var ledger = Ledger(tokens: 10_000);
        (await ReserveAsync(ledger, 1, 1)).Settle(6_000, 0);

        var refused = await Assert.ThrowsAsync<LimitException>(() => ReserveAsync(ledger, 2_800, 8_000));
        Assert.Equal(StopReason.MaxTokens, refused.Reason);
        Assert.Contains("MaxTokens", refused.Message, StringComparison.Ordinal);
        Assert.Contains("6,000 of 10,000 tokens are used, 3,000 are left", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CallThatAsksForFewTokens_MayHaveThemToTheLast()
    {
        var ledger = Ledger(tokens: 1_000);
        Assert.Equal(10, (await ReserveAsync(ledger, 890, 10)).Output);
        Assert.Equal(0, ledger.Reserve.PromptBytes);
    }

    [Fact]
    public async Task CallThatFitsOnceOthersHaveSettled_WaitsForThem()
    {
        var ledger = Ledger(tokens: 10_000);
        var first = await ReserveAsync(ledger, 1_000, 6_000);
        var second = ReserveAsync(ledger, 1_000, 6_000);
        Assert.False(second.IsCompleted);

        first.Settle(1_200, 0);
        Assert.Equal(6_000, (await second).Output);
    }

    [Fact]
    public async Task CallThatWaits_IsRefusedWhenTheOthersTookWhatItNeeds()
    {
        var ledger = Ledger(tokens: 10_000);
        var first = await ReserveAsync(ledger, 1_000, 6_000);
        var second = ReserveAsync(ledger, 5_000, 2_000);
        first.Settle(7_000, 0);

        await Assert.ThrowsAsync<LimitException>(() => second);
    }

    [Fact]
    public async Task WaitForOthers_EndsWithItsToken()
    {
        var ledger = Ledger(tokens: 10_000);
        await ReserveAsync(ledger, 1_000, 6_000);
        using var cancel = new CancellationTokenSource();
        var second = ledger.ReserveAsync(1_000, 6_000, Pricing, closing: false, cancel.Token).AsTask();
        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
    }

    [Fact]
    public async Task Cost_IsReservedAtTheFullPriceAndRefusedInDollars()
    {
        var ledger = Ledger(cost: 0.10m);
        var held = await ReserveAsync(ledger, 1_000, 2_000);
        Assert.Equal(0.022m, held.CostUsd);
        held.Settle(0, 0.08m);

        // 833 tokens are kept for the end, 277 of them output: 0.003882. So 0.016118 is left, and 0.002 of that is the prompt's.
        var shortened = await ReserveAsync(ledger, 1_000, 2_000);
        Assert.Equal(1_411, shortened.Output);
        shortened.Release();
        var refused = await Assert.ThrowsAsync<LimitException>(() => ReserveAsync(ledger, 8_000, 2_000));
        Assert.Equal(StopReason.MaxCost, refused.Reason);
        Assert.Contains("0.08 of 0.1 USD are spent, 0.016118 are left", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ClosingCall_MayUseWhatWasKeptForIt()
    {
        var ledger = Ledger(tokens: 10_000);
        (await ReserveAsync(ledger, 1, 1)).Settle(9_000, 0);

        await Assert.ThrowsAsync<LimitException>(() => ReserveAsync(ledger, 500, 300));
        Assert.Equal(300, (await ledger.ReserveAsync(500, 300, Pricing, closing: true, Token)).Output);
    }

    [Fact]
    public void SubcallsAndSearches_AreCountedToTheirLimits()
    {
        var ledger = new BudgetLedger(new DeepRecallOptions { MaxSubcalls = 2, MaxSearchCalls = 0 }, null);
        Assert.Null(ledger.CountSubcall());
        Assert.Null(ledger.CountSubcall());
        Assert.Equal("all 2 sub-calls (MaxSubcalls) are used, 0 are left; go on with what you have", ledger.CountSubcall());
        Assert.Equal("all 0 searches (MaxSearchCalls) are used, 0 are left; go on with what you have", ledger.CountSearch());
    }

    [Fact]
    public async Task ManyCallsAtOnceOfAnySize_NeverPassALimit()
    {
        var gen =
            from tokens in Gen.Long[500, 60_000]
            from cost in Gen.Int[1, 300]
            from calls in Gen.Select(Gen.Int[0, 3_000], Gen.Int[1, 4_000], Gen.Double[0, 1], Gen.Double[0, 1], Gen.Int[0, 9]).Array[1, 60]
            select (tokens, cost: cost / 1000m, calls);
        await gen.SampleAsync(
            async plan =>
            {
                var ledger = new BudgetLedger(new DeepRecallOptions { MaxTokens = plan.tokens, MaxCostUsd = plan.cost }, Pricing);
                var spent = (Tokens: 0L, Cost: 0m);
                var key = new Lock();
                await Task.WhenAll(plan.calls.Select(call => Task.Run(async () =>
                {
                    var (input, output, partIn, partOut, fate) = call;
                    BudgetLedger.Reservation held;
                    try
                    {
                        held = await ledger.ReserveAsync(input, output, Pricing, closing: fate == 0, CancellationToken.None);
                    }
                    catch (LimitException)
                    {
                        return;
                    }

                    await Task.Yield();
                    var (tookIn, tookOut) = ((long)(input * partIn), (long)(held.Output * partOut));
                    if (fate == 1)
                    {
                        held.Release();
                        return;
                    }

                    lock (key)
                    {
                        spent = (spent.Tokens + tookIn + tookOut, spent.Cost + Pricing.WorstCase(tookIn, tookOut));
                    }

                    held.Settle(tookIn + tookOut, Pricing.WorstCase(tookIn, tookOut));
                    held.Keep(); // it is settled: this must add nothing
                })));
                Assert.True(spent.Tokens <= plan.tokens, $"{spent.Tokens} of {plan.tokens}");
                Assert.True(spent.Cost <= plan.cost, $"{spent.Cost} of {plan.cost}");
                Assert.Equal((0L, 0m), ledger.Held);
            },
            iter: 300);
    }

    private static BudgetLedger Ledger(long? tokens = null, decimal? cost = null) =>
        new(new DeepRecallOptions { MaxTokens = tokens, MaxCostUsd = cost }, Pricing);

    private static async Task<BudgetLedger.Reservation> ReserveAsync(BudgetLedger ledger, long input, int output) =>
        await ledger.ReserveAsync(input, output, Pricing, closing: false, Token);
}
