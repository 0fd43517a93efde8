using System.Text.Json;
using DeepRecall;

namespace Microsoft.Extensions.AI;

/// <summary>Sets how one request is worked on by a <see cref="DeepRecallChatClient"/>.</summary>
public static class DeepRecallChatOptionsExtensions
{
    // Kept as JSON, so that caches and logs outside the RLM can write it down.
    private const string Key = "deeprecall.options";

    /// <summary>Sets what a request has in place of the client's own options, such as a smaller budget.</summary>
    /// <param name="options">The request's options; changed and returned.</param>
    /// <param name="configure">Sets the options; what an earlier call of this method set is there.</param>
    /// <returns><paramref name="options"/>.</returns>
    public static ChatOptions WithDeepRecall(this ChatOptions options, Action<DeepRecallRequestOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(configure);
        var own = GetDeepRecall(options) ?? new DeepRecallRequestOptions();
        configure(own);
        (options.AdditionalProperties ??= [])[Key] = JsonSerializer.SerializeToElement(own, RequestOptionsJson.Default.DeepRecallRequestOptions);
        return options;
    }

    /// <summary>What <see cref="WithDeepRecall"/> set.</summary>
    /// <exception cref="ArgumentException">Something else stands in its place.</exception>
    internal static DeepRecallRequestOptions? GetDeepRecall(ChatOptions? options)
    {
        if (options?.AdditionalProperties is not { } properties || !properties.TryGetValue(Key, out var value) || value is null)
        {
            return null;
        }

        try
        {
            return value is JsonElement element ? element.Deserialize(RequestOptionsJson.Default.DeepRecallRequestOptions) : throw new JsonException($"it is a {value.GetType().Name}");
        }
        catch (JsonException error)
        {
            throw new ArgumentException($"ChatOptions.AdditionalProperties[\"{Key}\"] is not what {nameof(WithDeepRecall)} sets: {error.Message}", nameof(options), error);
        }
    }

    /// <summary>Takes it out of options that go to a model.</summary>
    internal static void RemoveFrom(ChatOptions options) => options.AdditionalProperties?.Remove(Key);
}
