using System.Runtime.InteropServices;

namespace DeepRecall.Sandboxes.Local.Confinement;

/// <summary>The limits that the host sets on a process, and that code in it cannot lift (prlimit(2)).</summary>
internal sealed partial class ProcessLimits(int processId, ConfinementSettings settings)
{
    private const int FileSize = 1;
    private const int CoreSize = 4;
    private const int OpenFiles = 7;
    private const int AddressSpace = 9;
    private const ulong Unlimited = ulong.MaxValue;

    // While code may already run, a later value gets room for itself, and no more: JSON grows most when it is parsed.
    private const long MostGrowth = 32;

    // What reading any value takes, however short it is; it is taken back when the value is there.
    private const long LeastRoom = 4L << 20;

    // The stacks of the worker's threads, for the greater part.
    private const long WorkersOwn = 64L << 20;

    private const string Unseen = "/proc does not show this host what the process uses";

    private readonly Lock _lock = new();
    private long? _sealed;
    private long _before;
    private long _awaited;

    /// <summary>Sets the limits that stay. One file cannot fill the scratch directory, so that filling one is an error of the code, not its end.</summary>
    /// <returns>Why it failed, or <see langword="null"/>.</returns>
    public string? Set()
    {
        if (settings.HiddenMechanisms.Contains("prlimit"))
        {
            return "Function not implemented";
        }

        foreach (var (resource, value) in new[] { (CoreSize, 0L), (FileSize, settings.ScratchLimit / 8 * 7), (OpenFiles, settings.OpenFileLimit) })
        {
            if (Set(resource, (ulong)value, (ulong)value) is { } failure)
            {
                return failure;
            }
        }

        return null;
    }

    /// <summary>Limits memory to what is there now, what the worker still needs to start, and as much again as the option says.</summary>
    /// <returns>Why it failed, or <see langword="null"/>.</returns>
    public string? SetMemory()
    {
        lock (_lock)
        {
            return ReadSize() is { } size ? LimitMemory(size + settings.MemoryLimit + WorkersOwn) : Unseen;
        }
    }

    /// <summary>Makes room for a value of <paramref name="bytes"/> bytes, which the process will load.</summary>
    /// <returns>Why it failed, or <see langword="null"/>.</returns>
    public string? MakeRoom(long bytes)
    {
        lock (_lock)
        {
            if (_sealed is not { } limit)
            {
                return SetSoft(AddressSpace, Unlimited);
            }

            if (ReadSize() is not { } size)
            {
                return Unseen;
            }

            _before = _awaited == 0 ? size : _before;
            _awaited += MostGrowth * bytes;
            return LimitMemory(limit + Math.Max(LeastRoom, _awaited));
        }
    }

    /// <summary>
    /// Limits memory, when code will run for the first time, to what is there now and as much again as the option says. Later it is
    /// that limit still, and beside it what the values took that came since: memory that code took is in it, and makes it no wider.
    /// </summary>
    /// <returns>Why it failed, or <see langword="null"/>.</returns>
    public string? Seal()
    {
        lock (_lock)
        {
            if (ReadSize() is not { } size)
            {
                return Unseen;
            }

            _sealed = _sealed is { } limit ? limit + Math.Clamp(size - _before, 0, _awaited) : size + settings.MemoryLimit;
            _awaited = 0;
            return LimitMemory(_sealed.Value);
        }
    }

    // The upper bound stays as it is, for nobody without privileges could raise it again; code cannot raise the lower one, by seccomp.
    private string? LimitMemory(long bytes) => SetSoft(AddressSpace, (ulong)bytes);

    private long? ReadSize() => settings.HiddenMechanisms.Contains("/proc") ? null : ProcessFacts.ReadUsage(processId)?.AddressSpace;

    private string? SetSoft(int resource, ulong value)
    {
        if (GetLimit(processId, resource, 0, out var current) != 0)
        {
            return Failure(resource);
        }

        return Set(resource, Math.Min(value, current.Hard), current.Hard);
    }

    private string? Set(int resource, ulong soft, ulong hard)
    {
        if (GetLimit(processId, resource, 0, out var current) == 0 && current.Hard < hard)
        {
            (soft, hard) = (Math.Min(soft, current.Hard), current.Hard);
        }

        return SetLimit(processId, resource, new Limit(soft, hard), 0) == 0 ? null : Failure(resource);
    }

    private static string Failure(int resource) => $"limit {resource} could not be set: {Marshal.GetLastPInvokeErrorMessage()}";

    [LibraryImport("libc", EntryPoint = "prlimit", SetLastError = true)]
    private static partial int SetLimit(int processId, int resource, in Limit limit, nint none);

    [LibraryImport("libc", EntryPoint = "prlimit", SetLastError = true)]
    private static partial int GetLimit(int processId, int resource, nint none, out Limit limit);

    private readonly record struct Limit(ulong Soft, ulong Hard);
}
