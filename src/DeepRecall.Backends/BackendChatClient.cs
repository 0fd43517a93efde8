using System.Runtime.CompilerServices;
using DeepRecall.Backends.Http;
using DeepRecall.Backends.OpenAI;
using DeepRecall.Budgets;
using Microsoft.Extensions.AI;

namespace DeepRecall.Backends;

/// <summary>What every backend does alike: default sampling, the cost of a response, and the kind of an error.</summary>
internal sealed class BackendChatClient(IChatClient innerClient, BackendSettings settings) : DelegatingChatClient(innerClient)
{
    private readonly ModelInfo _info = new()
    {
        Pricing = settings.Options.Pricing?.ToModelPricing(),
        ContextWindow = settings.Options.ContextWindow,
        MaxOutputTokens = settings.Options.MaxOutputTokens,
    };

    /// <inheritdoc />
    /// <remarks>A <see cref="ModelInfo"/> is what the options say of the model, so that budgets can reserve its calls.</remarks>
    public override object? GetService(Type serviceType, object? serviceKey = null) =>
        serviceKey is null && serviceType == typeof(ModelInfo) ? _info : base.GetService(serviceType, serviceKey);

    public override async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        using var call = CallScope.Begin();
        try
        {
            var response = await base.GetResponseAsync(messages, WithDefaults(options), cancellationToken).ConfigureAwait(false);
            AddCost(response.Usage, OpenAIBackend.CostOf(response) ?? call.CostUsd, usage => response.Usage = usage);
            if (response.Usage?.GetCostUsd() is { } cost)
            {
                (response.AdditionalProperties ??= [])[UsageCostExtensions.CostProperty] = cost;
            }

            return response;
        }
        catch (Exception error)
        {
            BackendErrors.Tag(error);
            throw;
        }
    }

    public override async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages,
        ChatOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        // The request is sent by the first step, so that is where the call's scope must be.
        var call = CallScope.Begin();
        var stream = base.GetStreamingResponseAsync(messages, WithDefaults(options), cancellationToken).GetAsyncEnumerator(cancellationToken);
        var costTold = false;
        var begun = false;
        await using (stream.ConfigureAwait(false))
        {
            while (true)
            {
                try
                {
                    if (!await stream.MoveNextAsync().ConfigureAwait(false))
                    {
                        break;
                    }

                    OpenAIErrors.ThrowIfError(stream.Current, settings);
                }
                catch (Exception error)
                {
                    BackendErrors.Tag(error);
                    throw;
                }

                begun = true;
                var update = stream.Current;
                foreach (var content in update.Contents.OfType<UsageContent>())
                {
                    // A header's cost is that of the whole response, whatever the number of usage contents.
                    var told = OpenAIBackend.CostOf(content) ?? (costTold ? null : call.CostUsd);
                    AddCost(content.Details, costTold ? told ?? 0 : told, _ => { });
                    costTold |= told is not null;
                }

                yield return update;
            }
        }

        if (!begun)
        {
            // SDKs skip what is no event, a page of a proxy for example; without this it would be an empty answer.
            var error = new InvalidDataException($"The backend '{settings.Name}' answered a request for a stream with no event of one.");
            BackendErrors.Tag(error);
            throw error;
        }

        if (!costTold && call.CostUsd is { } cost)
        {
            var usage = new UsageDetails();
            usage.SetCostUsd(cost);
            yield return new ChatResponseUpdate { Contents = [new UsageContent(usage)] };
        }
    }

    private void AddCost(UsageDetails? usage, decimal? told, Action<UsageDetails> keep)
    {
        if (usage is null)
        {
            if (told is null)
            {
                return;
            }

            usage = new UsageDetails();
            keep(usage);
        }

        if ((told ?? _info.Pricing?.CostOf(usage)) is { } cost and >= 0)
        {
            usage.SetCostUsd(cost);
        }
    }

    private ChatOptions WithDefaults(ChatOptions? options)
    {
        var own = settings.Options;
        var result = options?.Clone() ?? new ChatOptions();
        result.ModelId ??= settings.Model;
        result.Temperature ??= own.Temperature;
        result.TopP ??= own.TopP;
        result.MaxOutputTokens ??= own.MaxOutputTokens;
        result.Seed ??= own.Seed;
        if (own.ReasoningEffort is { } effort && result.Reasoning?.Effort is null)
        {
            result.Reasoning = new ReasoningOptions { Effort = effort, Output = result.Reasoning?.Output };
        }

        OpenAIBackend.AddLegacyMaxTokens(settings, result);
        return result;
    }
}
