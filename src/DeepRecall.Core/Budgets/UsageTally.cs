using Microsoft.Extensions.AI;

namespace DeepRecall.Budgets;

/// <summary>Sums the tokens of a run; what is added counts for the run's parents too. Thread-safe.</summary>
internal sealed class UsageTally(UsageTally? parent = null)
{
    private readonly Lock _lock = new();
    private readonly UsageDetails _total = new();

    public void Add(UsageDetails? usage)
    {
        if (usage is null)
        {
            return;
        }

        for (var tally = this; tally is not null; tally = tally.Parent)
        {
            lock (tally._lock)
            {
                tally._total.Add(usage);
            }
        }
    }

    public UsageDetails Snapshot()
    {
        lock (_lock)
        {
            return Copy(_total);
        }
    }

    public static UsageDetails Copy(UsageDetails usage)
    {
        var copy = new UsageDetails();
        copy.Add(usage);
        return copy;
    }

    private UsageTally? Parent { get; } = parent;
}
