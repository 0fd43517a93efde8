using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Connect;

/// <summary>Reads how a process ended from what a service written in Go says of it.</summary>
internal static class ProcessExits
{
    private const string SignalPrefix = "signal: ";

    // What Go's syscall.Signal.String gives on Linux.
    private static readonly Dictionary<string, int> Signals = new(StringComparer.Ordinal)
    {
        ["hangup"] = 1,
        ["interrupt"] = 2,
        ["quit"] = 3,
        ["illegal instruction"] = 4,
        ["trace/breakpoint trap"] = 5,
        ["aborted"] = 6,
        ["bus error"] = 7,
        ["floating point exception"] = 8,
        ["killed"] = 9,
        ["user defined signal 1"] = 10,
        ["segmentation fault"] = 11,
        ["user defined signal 2"] = 12,
        ["broken pipe"] = 13,
        ["alarm clock"] = 14,
        ["terminated"] = 15,
        ["CPU time limit exceeded"] = 24,
        ["file size limit exceeded"] = 25,
        ["bad system call"] = 31,
    };

    /// <summary>The name of a signal, and what a status says of an end by it.</summary>
    public static string Status(int signal) =>
        SignalPrefix + (Signals.FirstOrDefault(entry => entry.Value == signal).Key ?? $"signal {signal}");

    /// <summary>How a process ended, by the members of an end event.</summary>
    public static SandboxExit Read(int exitCode, bool exited, string? status, string? error)
    {
        if (exited || (exitCode >= 0 && status?.StartsWith(SignalPrefix, StringComparison.Ordinal) != true))
        {
            return new SandboxExit(exitCode);
        }

        var said = status ?? error ?? string.Empty;
        var name = said.StartsWith(SignalPrefix, StringComparison.Ordinal) ? said[SignalPrefix.Length..].Replace(" (core dumped)", string.Empty, StringComparison.Ordinal) : string.Empty;
        if (Signals.TryGetValue(name, out var signal))
        {
            return new SandboxExit(null, signal);
        }

        return name.StartsWith("signal ", StringComparison.Ordinal) && int.TryParse(name["signal ".Length..], out signal)
            ? new SandboxExit(null, signal)
            : new SandboxExit(null, null, said.Length > 0 ? said : null);
    }
}
