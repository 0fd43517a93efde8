using Microsoft.Extensions.AI;

namespace DeepRecall;

/// <summary>What is known of a model beside its name.</summary>
/// <remarks>A chat client can tell it as a service of this type (<see cref="IChatClient.GetService"/>); the clients of DeepRecall.Backends do.</remarks>
public sealed record ModelInfo
{
    /// <summary>Gets what its tokens cost; <see langword="null"/> when that is not known.</summary>
    public ModelPricing? Pricing { get; init; }

    /// <summary>Gets how many tokens a prompt and its reply may have together; <see langword="null"/> when that is not known.</summary>
    public int? ContextWindow { get; init; }

    /// <summary>Gets the most output tokens that the client asks for when a request sets none; <see langword="null"/> when it leaves that to the provider.</summary>
    public int? MaxOutputTokens { get; init; }

    /// <summary>What was given, and for the rest what the client tells.</summary>
    internal static ModelInfo Of(ModelInfo? given, IChatClient client)
    {
        var told = client.GetService<ModelInfo>();
        return given is null || told is null ? given ?? told ?? new ModelInfo() : new ModelInfo
        {
            Pricing = given.Pricing ?? told.Pricing,
            ContextWindow = given.ContextWindow ?? told.ContextWindow,
            MaxOutputTokens = given.MaxOutputTokens ?? told.MaxOutputTokens,
        };
    }
}
