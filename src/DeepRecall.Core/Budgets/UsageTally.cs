using Microsoft.Extensions.AI;

namespace DeepRecall.Budgets;

/// <summary>Sums the model calls of a run and their tokens; what is added counts for the run's parents too. Thread-safe.</summary>
internal sealed class UsageTally(UsageTally? parent = null)
{
    private readonly Lock _lock = new();
    private readonly UsageDetails _total = new();
    private int _calls;

    private UsageTally? Parent { get; } = parent;

    /// <summary>How many calls were added.</summary>
    public int Calls => Volatile.Read(ref _calls);

    public static UsageDetails Copy(UsageDetails usage)
    {
        var copy = new UsageDetails();
        copy.Add(usage);
        return copy;
    }

    /// <summary>Adds a call that was answered.</summary>
    public void Add(UsageDetails? usage)
    {
        for (var tally = this; tally is not null; tally = tally.Parent)
        {
            lock (tally._lock)
            {
                tally._calls++;
                if (usage is not null)
                {
                    tally._total.Add(usage);
                }
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
}
