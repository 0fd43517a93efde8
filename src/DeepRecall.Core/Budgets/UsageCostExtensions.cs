using Microsoft.Extensions.AI;

namespace DeepRecall.Budgets;

/// <summary>The cost of model calls, carried in <see cref="UsageDetails.AdditionalCounts"/> so that whatever sums usage sums it too.</summary>
public static class UsageCostExtensions
{
    /// <summary>The count's key. Its value is in billionths of a US dollar.</summary>
    public const string CostKey = "deeprecall.cost_nanousd";

    /// <summary>The key under which a response's <c>AdditionalProperties</c> tell its cost in USD, as a <see cref="decimal"/>.</summary>
    public const string CostProperty = "deeprecall.cost_usd";

    private const decimal Unit = 1_000_000_000m;

    /// <summary>Gets what the calls cost.</summary>
    /// <param name="usage">The usage of a response, or a sum.</param>
    /// <returns>The cost in USD, or <see langword="null"/> when no call told its cost.</returns>
    public static decimal? GetCostUsd(this UsageDetails usage)
    {
        ArgumentNullException.ThrowIfNull(usage);
        return usage.AdditionalCounts is { } counts && counts.TryGetValue(CostKey, out var cost) ? cost / Unit : null;
    }

    /// <summary>Sets what a call cost.</summary>
    /// <param name="usage">The usage of the call's response.</param>
    /// <param name="costUsd">The cost in USD.</param>
    /// <exception cref="ArgumentOutOfRangeException">The cost is negative, or more than nine billion dollars.</exception>
    public static void SetCostUsd(this UsageDetails usage, decimal costUsd)
    {
        ArgumentNullException.ThrowIfNull(usage);
        if (costUsd is < 0 or > long.MaxValue / Unit)
        {
            throw new ArgumentOutOfRangeException(nameof(costUsd), costUsd, "A cost is not negative, and at most nine billion dollars.");
        }

        (usage.AdditionalCounts ??= [])[CostKey] = (long)Math.Round(costUsd * Unit, MidpointRounding.AwayFromZero);
    }
}
