using System.Text.Json.Serialization;

namespace DeepRecall;

/// <summary>What one request has in place of the client's <see cref="DeepRecallOptions"/>; what is <see langword="null"/> stays as it is there.</summary>
/// <remarks>Set by <see cref="Microsoft.Extensions.AI.DeepRecallChatOptionsExtensions.WithDeepRecall"/>. Checked when the request is made.</remarks>
public sealed class DeepRecallRequestOptions
{
    /// <summary>Gets or sets <see cref="DeepRecallOptions.MaxIterations"/> of this request.</summary>
    public int? MaxIterations { get; set; }

    /// <summary>Gets or sets <see cref="DeepRecallOptions.MaxDepth"/> of this request.</summary>
    public int? MaxDepth { get; set; }

    /// <summary>Gets or sets <see cref="DeepRecallOptions.MaxConcurrentSubcalls"/> of this request.</summary>
    public int? MaxConcurrentSubcalls { get; set; }

    /// <summary>Gets or sets <see cref="DeepRecallOptions.MaxTokens"/> of this request.</summary>
    public long? MaxTokens { get; set; }

    /// <summary>Gets or sets <see cref="DeepRecallOptions.MaxCostUsd"/> of this request.</summary>
    public decimal? MaxCostUsd { get; set; }

    /// <summary>Gets or sets <see cref="DeepRecallOptions.MaxDuration"/> of this request.</summary>
    public TimeSpan? MaxDuration { get; set; }

    /// <summary>Gets or sets <see cref="DeepRecallOptions.MaxSubcalls"/> of this request.</summary>
    public int? MaxSubcalls { get; set; }

    /// <summary>Gets or sets <see cref="DeepRecallOptions.MaxSearchCalls"/> of this request.</summary>
    public int? MaxSearchCalls { get; set; }

    /// <summary>Gets or sets <see cref="DeepRecallOptions.MaxConsecutiveErrors"/> of this request.</summary>
    public int? MaxConsecutiveErrors { get; set; }

    /// <summary>Gets or sets <see cref="DeepRecallOptions.MaxSubcallPromptChars"/> of this request.</summary>
    public int? MaxSubcallPromptChars { get; set; }

    /// <summary>Gets or sets <see cref="DeepRecallOptions.MaxOutputChars"/> of this request.</summary>
    public int? MaxOutputChars { get; set; }

    /// <summary>Gets or sets <see cref="DeepRecallOptions.MaxAnswerRepairs"/> of this request.</summary>
    public int? MaxAnswerRepairs { get; set; }

    /// <summary>Gets or sets <see cref="DeepRecallOptions.OnLimit"/> of this request.</summary>
    public LimitBehavior? OnLimit { get; set; }

    /// <summary>Gets or sets <see cref="DeepRecallOptions.CellTimeout"/> of this request.</summary>
    public TimeSpan? CellTimeout { get; set; }

    /// <summary>Gets or sets <see cref="DeepRecallOptions.CompactionThreshold"/> of this request.</summary>
    public double? CompactionThreshold { get; set; }

    /// <summary>Gets or sets <see cref="DeepRecallOptions.Persistent"/> of this request.</summary>
    public bool? Persistent { get; set; }

    /// <summary>Gets or sets <see cref="DeepRecallOptions.ShortPromptThreshold"/> of this request.</summary>
    public int? ShortPromptThreshold { get; set; }

    /// <summary>Gets or sets <see cref="DeepRecallOptions.Instructions"/> of this request.</summary>
    public string? Instructions { get; set; }

    /// <summary>Gets or sets <see cref="DeepRecallOptions.SystemPrompt"/> of this request.</summary>
    public string? SystemPrompt { get; set; }

    /// <summary>Gets or sets <see cref="DeepRecallOptions.ChildTools"/> of this request.</summary>
    public IList<string>? ChildTools { get; set; }

    /// <summary>Gets or sets <see cref="DeepRecallOptions.ApprovedTools"/> of this request.</summary>
    public IList<string>? ApprovedTools { get; set; }

    /// <summary>The options of a request: the client's, with these in their place.</summary>
    /// <exception cref="ArgumentException">One of these is out of range; all problems are named.</exception>
    internal DeepRecallOptions ApplyTo(DeepRecallOptions options)
    {
        var own = options.Clone();
        own.MaxIterations = MaxIterations ?? own.MaxIterations;
        own.MaxDepth = MaxDepth ?? own.MaxDepth;
        own.MaxConcurrentSubcalls = MaxConcurrentSubcalls ?? own.MaxConcurrentSubcalls;
        own.MaxTokens = MaxTokens ?? own.MaxTokens;
        own.MaxCostUsd = MaxCostUsd ?? own.MaxCostUsd;
        own.MaxDuration = MaxDuration ?? own.MaxDuration;
        own.MaxSubcalls = MaxSubcalls ?? own.MaxSubcalls;
        own.MaxSearchCalls = MaxSearchCalls ?? own.MaxSearchCalls;
        own.MaxConsecutiveErrors = MaxConsecutiveErrors ?? own.MaxConsecutiveErrors;
        own.MaxSubcallPromptChars = MaxSubcallPromptChars ?? own.MaxSubcallPromptChars;
        own.MaxOutputChars = MaxOutputChars ?? own.MaxOutputChars;
        own.MaxAnswerRepairs = MaxAnswerRepairs ?? own.MaxAnswerRepairs;
        own.OnLimit = OnLimit ?? own.OnLimit;
        own.CellTimeout = CellTimeout ?? own.CellTimeout;
        own.CompactionThreshold = CompactionThreshold ?? own.CompactionThreshold;
        own.Persistent = Persistent ?? own.Persistent;
        own.ShortPromptThreshold = ShortPromptThreshold ?? own.ShortPromptThreshold;
        own.Instructions = Instructions ?? own.Instructions;
        own.SystemPrompt = SystemPrompt ?? own.SystemPrompt;
        own.ChildTools = ChildTools is null ? own.ChildTools : new HashSet<string>(ChildTools, StringComparer.Ordinal);
        foreach (var name in ApprovedTools ?? [])
        {
            own.ApprovedTools.Add(name);
        }

        var problems = own.Validate();
        return problems.Count == 0
            ? own
            : throw new ArgumentException($"{nameof(DeepRecallRequestOptions)}: {string.Join(' ', problems)}", nameof(options));
    }
}

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UseStringEnumConverter = true)]
[JsonSerializable(typeof(DeepRecallRequestOptions))]
internal sealed partial class RequestOptionsJson : JsonSerializerContext;
