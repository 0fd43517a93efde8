using DeepRecall.Diagnostics;
using DeepRecall.Subcalls;
using Microsoft.Extensions.AI;

namespace DeepRecall.Budgets;

/// <summary>Makes the model calls of a request: within the limiter, reserved in the ledger, counted, and told as spans.</summary>
internal sealed class ModelMeter(DeepRecallOptions options, BudgetLedger ledger, SubcallLimiter limiter)
{
    private readonly TokenBound _bound = new(options.CountTokens);

    /// <summary>Calls a model.</summary>
    /// <param name="client">The model's client.</param>
    /// <param name="model">What is known of it.</param>
    /// <param name="messages">The prompt.</param>
    /// <param name="chatOptions">The call's options; they are copied.</param>
    /// <param name="tally">Where its usage is counted.</param>
    /// <param name="call">The call itself, with the options that it must use.</param>
    /// <param name="cancellationToken">Ends the wait; a call that does not heed it is left behind, and counted when it ends after all.</param>
    /// <param name="closing">Whether this is the last call, which may use what was kept for it.</param>
    /// <exception cref="LimitException">The budget does not allow the call.</exception>
    public Task<ModelResponse> CallAsync(
        IChatClient client,
        ModelInfo model,
        IReadOnlyList<ChatMessage> messages,
        ChatOptions? chatOptions,
        UsageTally tally,
        Func<ChatOptions?, CallProgress, CancellationToken, Task<ChatResponse?>> call,
        CancellationToken cancellationToken,
        bool closing = false) =>
        limiter.CallModelAsync(
            async () =>
            {
                var own = chatOptions?.Clone();
                var held = ledger.IsMetered ? await ReserveAsync(model, messages, own, closing, cancellationToken).ConfigureAwait(false) : null;
                if (held is not null)
                {
                    own ??= new ChatOptions();
                    own.MaxOutputTokens = held.Output;
                }

                var progress = new CallProgress();
                using var activity = ChatActivity.Start(options, client, messages, own);
                var running = RunAsync(() => call(own, progress, cancellationToken), progress, client, model, messages, own, tally, held, cancellationToken);
                try
                {
                    var response = await running.WaitAsync(cancellationToken).ConfigureAwait(false);
                    activity.End(response);
                    return response;
                }
                catch (Exception error)
                {
                    activity.Fail(error);
                    throw;
                }
                finally
                {
                    // A call that was left behind may never end, and nobody may wait for what it holds.
                    held?.Keep();
                }
            },
            cancellationToken);

    private async Task<BudgetLedger.Reservation> ReserveAsync(ModelInfo model, IReadOnlyList<ChatMessage> messages, ChatOptions? own, bool closing, CancellationToken cancellationToken)
    {
        var output = own?.MaxOutputTokens ?? model.MaxOutputTokens ?? options.BudgetedOutputTokens;
        return await ledger.ReserveAsync(_bound.Of(messages, own), Math.Max(1, output), model.Pricing, closing, cancellationToken).ConfigureAwait(false);
    }

    private async Task<ModelResponse> RunAsync(
        Func<Task<ChatResponse?>> call,
        CallProgress progress,
        IChatClient client,
        ModelInfo model,
        IReadOnlyList<ChatMessage> messages,
        ChatOptions? own,
        UsageTally tally,
        BudgetLedger.Reservation? held,
        CancellationToken cancellationToken)
    {
        // A client that blocks its caller blocks this task, and not the run, which ends at its time all the same.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        ChatResponse? response;
        try
        {
            response = await call().ConfigureAwait(false);
        }
        catch (Exception error)
        {
            // Only a call that was refused is known to have taken nothing; one that was cut short may have taken all of it.
            if (cancellationToken.IsCancellationRequested || progress.HasBegun || error is OperationCanceledException or TimeoutException or IOException)
            {
                held?.Keep();
            }
            else
            {
                held?.Release();
            }

            throw;
        }

        var usage = WithCost(response?.Usage, model);
        tally.Add(usage);
        Telemetry.ModelCalled(client, own, response, usage);
        Settle(held, usage, response, messages, model);
        return new ModelResponse(response, usage);
    }

    private static UsageDetails? WithCost(UsageDetails? usage, ModelInfo model)
    {
        if (usage is null || model.Pricing is null || usage.GetCostUsd() is not null)
        {
            return usage;
        }

        var priced = UsageTally.Copy(usage);
        priced.SetCostUsd(model.Pricing.CostOf(usage));
        return priced;
    }

    private void Settle(BudgetLedger.Reservation? held, UsageDetails? usage, ChatResponse? response, IReadOnlyList<ChatMessage> messages, ModelInfo model)
    {
        if (held is null)
        {
            return;
        }

        var tokens = Math.Max(usage?.TotalTokenCount ?? 0, (usage?.InputTokenCount ?? 0) + (usage?.OutputTokenCount ?? 0));
        if (tokens > 0)
        {
            held.Settle(tokens, usage!.GetCostUsd() ?? 0);
            return;
        }

        // A provider that tells no usage: what the texts can have taken.
        var input = _bound.Of(messages, null);
        var output = response is null ? 0 : _bound.Of(response.Messages, null);
        held.Settle(input + output, model.Pricing?.WorstCase(input, output) ?? 0);
    }
}

/// <summary>How far a model call has come.</summary>
internal sealed class CallProgress
{
    /// <summary>Gets or sets a value indicating whether something of the reply has come.</summary>
    public bool HasBegun { get; set; }
}

/// <summary>What came of a model call.</summary>
/// <param name="Response">The response; <see langword="null"/> from a client that gives none.</param>
/// <param name="Usage">Its usage, with its cost where that is known.</param>
internal sealed record ModelResponse(ChatResponse? Response, UsageDetails? Usage);
