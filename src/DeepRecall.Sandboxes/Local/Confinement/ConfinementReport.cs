using System.Text.Json;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Local.Confinement;

/// <summary>Makes of what the process reported, and of what the kernel says of it, what is told to people.</summary>
internal static class ConfinementReport
{
    private const string FromOption = "allowed by " + nameof(LocalSandboxOptions) + ".";

    /// <summary>What holds where there is no confinement.</summary>
    public static SandboxIsolation None(string reason) => new()
    {
        Parts =
        [
            new SandboxIsolationPart("confinement", false, $"{reason}: code has the rights of this process's user, to its files, to the network and to start processes"),
            new SandboxIsolationPart("process", true, "one of its own, ended with all that it started", IsExtra: true),
            new SandboxIsolationPart("environment", true, "no variable of the host", IsExtra: true),
        ],
    };

    /// <param name="report">What confinement.py wrote: for each step whether it holds, and by what or why not.</param>
    /// <param name="facts">What the kernel says of the process; <see langword="null"/> when it says nothing.</param>
    /// <param name="settings">What was to hold.</param>
    /// <param name="limitFailure">Why the limits could not be set, or <see langword="null"/>.</param>
    public static SandboxIsolation From(string report, ProcessFacts.Privileges? facts, ConfinementSettings settings, string? limitFailure)
    {
        var steps = JsonSerializer.Deserialize(report, ConfinementJson.Default.DictionaryStringJsonElementArray)!
            .ToDictionary(step => step.Key, step => (IsHeld: step.Value[0].GetBoolean(), Detail: step.Value[1].GetString()!), StringComparer.Ordinal);

        // Each of these confines the thread that asks for it, and those that it starts later.
        var threads = steps["threads"];
        (bool IsHeld, string Detail) OfAllThreads(string name) => threads.IsHeld || !steps[name].IsHeld ? steps[name] : threads;
        var files = OfAllThreads("files");
        var calls = Confirm(OfAllThreads("calls"), facts?.HasFilter);
        var noNewPrivileges = Confirm(OfAllThreads("no_new_privs"), facts?.NoNewPrivileges);
        var capabilities = Confirm(OfAllThreads("capabilities"), facts?.HasNoCapabilities);

        SandboxIsolationPart ByCalls(string name, string what) => new(name, calls.IsHeld, calls.IsHeld ? what : calls.Detail);
        SandboxIsolationPart Allowed(string name, string option) => new(name, false, FromOption + option, IsExtra: true);

        (bool IsHeld, string Detail) limits = limitFailure is not null ? (false, limitFailure)
            : calls.IsHeld ? (true, $"{settings.MemoryLimit:N0} bytes of memory, {settings.ScratchLimit:N0} bytes on disk, {settings.OpenFileLimit:N0} files, {settings.ThreadLimit:N0} threads")
            : (false, $"code could lift that of memory: {calls.Detail}");
        return new SandboxIsolation
        {
            Parts =
            [
                new("files", files.IsHeld, files.IsHeld ? $"{files.Detail}: Python can be read, the scratch directory written, and nothing else" : files.Detail),
                ByCalls("metadata", "seccomp: no change of modes, owners, times or attributes"),
                settings.AllowNetwork ? Allowed("network", nameof(settings.AllowNetwork)) : ByCalls("network", "seccomp: no sockets"),
                settings.AllowSubprocesses ? Allowed("processes", nameof(settings.AllowSubprocesses)) : ByCalls("processes", "seccomp: no new processes"),
                ByCalls("signals", settings.AllowSubprocesses ? "to its own processes only" : "seccomp: to itself only"),
                ByCalls("kernel", $"{calls.Detail}: no ptrace, mounts, namespaces, bpf, keyrings, io_uring, and more"),
                new("privileges", noNewPrivileges.IsHeld && capabilities.IsHeld, Both(noNewPrivileges, capabilities)),
                new("inspection", steps["inspection"].IsHeld, steps["inspection"].Detail),
                new("descriptors", steps["descriptors"].IsHeld, steps["descriptors"].Detail),
                new("limits", limits.IsHeld, limits.Detail),
                new("namespaces", steps["namespaces"].IsHeld, steps["namespaces"].IsHeld ? $"{steps["namespaces"].Detail} of its own" : steps["namespaces"].Detail, IsExtra: true),
            ],
        };
    }

    private static (bool IsHeld, string Detail) Confirm((bool IsHeld, string Detail) step, bool? isSeen) => (step.IsHeld, isSeen) switch
    {
        (true, false) => (false, "it was set up, but the kernel does not show it"),
        (true, null) => (false, "it was set up, but /proc does not show this host the process, so that nothing confirms it"),
        _ => step,
    };

    private static string Both((bool IsHeld, string Detail) first, (bool IsHeld, string Detail) second) =>
        (first.IsHeld, second.IsHeld) switch
        {
            (true, false) => second.Detail,
            (false, true) => first.Detail,
            _ => first.Detail == second.Detail ? first.Detail : $"{first.Detail}, {second.Detail}",
        };
}
