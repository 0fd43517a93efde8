namespace DeepRecall;

/// <summary>Says what is wrong with options: the option, its value, and what is allowed.</summary>
internal sealed class DeepRecallOptionsValidator
{
    // What timers of .NET can wait.
    private static readonly TimeSpan MaxTimer = TimeSpan.FromMilliseconds(int.MaxValue);

    private readonly List<string> _problems = [];

    private DeepRecallOptionsValidator()
    {
    }

    public static IReadOnlyList<string> Validate(DeepRecallOptions options)
    {
        var validator = new DeepRecallOptionsValidator();
        validator.CheckLimits(options);
        validator.CheckPolicies(options);
        validator.CheckSubClients(options);
        return validator._problems;
    }

    private void CheckLimits(DeepRecallOptions options)
    {
        AtLeast(nameof(options.MaxIterations), options.MaxIterations, 1);
        AtLeast(nameof(options.MaxDepth), options.MaxDepth, 1);
        AtLeast(nameof(options.MaxConcurrentSubcalls), options.MaxConcurrentSubcalls, 1);
        AtLeast(nameof(options.MaxOutputChars), options.MaxOutputChars, 200);
        AtLeast(nameof(options.MaxTokens), options.MaxTokens, 1);
        AtLeast(nameof(options.MaxSubcalls), options.MaxSubcalls, 0);
        AtLeast(nameof(options.MaxSearchCalls), options.MaxSearchCalls, 0);
        AtLeast(nameof(options.MaxConsecutiveErrors), options.MaxConsecutiveErrors, 1);
        AtLeast(nameof(options.MaxSubcallPromptChars), options.MaxSubcallPromptChars, 1);
        AtLeast(nameof(options.BudgetedOutputTokens), options.BudgetedOutputTokens, 256);
        Positive(nameof(options.CellTimeout), options.CellTimeout, allowInfinite: true);
        Positive(nameof(options.InterruptGracePeriod), options.InterruptGracePeriod, allowInfinite: false);
        Positive(nameof(options.SandboxStartTimeout), options.SandboxStartTimeout, allowInfinite: true);
        if (options.MaxDuration is { } duration)
        {
            Positive(nameof(options.MaxDuration), duration, allowInfinite: false, orNull: true);
        }

        // Sums of costs are kept in billionths of a dollar.
        if (options.MaxCostUsd is <= 0 or > 1_000_000_000)
        {
            Add(nameof(options.MaxCostUsd), options.MaxCostUsd, "more than zero and at most 1,000,000,000, or null for no limit");
        }
    }

    private void CheckPolicies(DeepRecallOptions options)
    {
        AtLeast(nameof(options.MaxSessions), options.MaxSessions, 1);
        AtLeast(nameof(options.MaxAnswerRepairs), options.MaxAnswerRepairs, 0);
        AtLeast(nameof(options.ShortPromptThreshold), options.ShortPromptThreshold, 1);
        Positive(nameof(options.SessionIdleTimeout), options.SessionIdleTimeout, allowInfinite: true);
        if (options.CompactionThreshold is { } threshold && !(threshold is > 0 and <= 1))
        {
            Add(nameof(options.CompactionThreshold), threshold, "more than 0 and at most 1, or null to turn compaction off");
        }

        if (options.SystemPrompt is { } prompt && string.IsNullOrWhiteSpace(prompt))
        {
            _problems.Add($"{nameof(options.SystemPrompt)} is blank; leave it null for the built-in one.");
        }

        if (options.OnLimit is not (LimitBehavior.ReturnPartial or LimitBehavior.Throw))
        {
            Add(nameof(options.OnLimit), options.OnLimit, $"{nameof(LimitBehavior.ReturnPartial)} or {nameof(LimitBehavior.Throw)}");
        }

        if ((options.CodeFences & ~(CodeFences.Repl | CodeFences.Python | CodeFences.Untagged)) != 0)
        {
            Add(nameof(options.CodeFences), options.CodeFences, "a combination of Repl, Python and Untagged");
        }

        Check(nameof(options.Model), options.Model);
    }

    private void CheckSubClients(DeepRecallOptions options)
    {
        var clients = options.SubClients;
        for (var index = 0; index < clients.Count; index++)
        {
            if (clients[index] is not { } client)
            {
                _problems.Add($"{nameof(options.SubClients)}[{index}] is null.");
                continue;
            }

            if (clients.Take(index).Any(other => other is not null && string.Equals(other.Name, client.Name, StringComparison.Ordinal)))
            {
                _problems.Add($"{nameof(options.SubClients)} has two entries named '{client.Name}'; names must differ.");
            }

            Check($"{nameof(options.SubClients)}[{index}].{nameof(client.Model)}", client.Model);
        }

        foreach (var (depth, name) in options.SubClientByDepth)
        {
            if (depth < 0)
            {
                _problems.Add($"{nameof(options.SubClientByDepth)} has an entry for depth {depth}; depths are 0 or more.");
            }

            if (!clients.Any(client => client is not null && string.Equals(client.Name, name, StringComparison.Ordinal)))
            {
                _problems.Add($"{nameof(options.SubClientByDepth)}[{depth}] is '{name}', which is no sub-client; they are: {string.Join(", ", clients.Select(client => client?.Name))}.");
            }
        }
    }

    private void Check(string name, ModelInfo? model)
    {
        AtLeast($"{name}.{nameof(model.ContextWindow)}", model?.ContextWindow, 1);
        AtLeast($"{name}.{nameof(model.MaxOutputTokens)}", model?.MaxOutputTokens, 1);
        if (model?.Pricing is { } pricing && (pricing.InputPerMillion < 0 || pricing.OutputPerMillion < 0 || pricing.CachedInputPerMillion < 0))
        {
            Add($"{name}.{nameof(model.Pricing)}", pricing, "prices of zero or more");
        }
    }

    private void AtLeast(string name, long? value, long least)
    {
        if (value < least)
        {
            Add(name, value, $"{least} or more");
        }
    }

    private void Positive(string name, TimeSpan value, bool allowInfinite, bool orNull = false)
    {
        if (!(value > TimeSpan.Zero && value <= MaxTimer) && !(allowInfinite && value == Timeout.InfiniteTimeSpan))
        {
            Add(name, value, $"more than zero and at most {MaxTimer.TotalDays:0} days{(allowInfinite ? ", or Timeout.InfiniteTimeSpan" : orNull ? ", or null for no limit" : string.Empty)}");
        }
    }

    private void Add(string name, object? value, string allowed) => _problems.Add($"{name} is {value}; it must be {allowed}.");
}
