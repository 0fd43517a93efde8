using System.Diagnostics;
using System.Globalization;

namespace DeepRecall.Sandboxes.Docker;

/// <summary>Names a host process so that another one can tell later whether it still lives.</summary>
/// <remarks>
/// Four parts: the boot of the machine, the namespace in which process numbers mean something, the number, and the time the process
/// started, because numbers are used again (proc(5), pid_namespaces(7)). Where there is no such file system, the first is the machine's name.
/// </remarks>
internal static class DockerHostIdentity
{
    public enum State
    {
        /// <summary>The process lives.</summary>
        Alive,

        /// <summary>The process is gone.</summary>
        Dead,

        /// <summary>It is or was a process elsewhere, of which nothing is known here.</summary>
        Unknown,
    }

    /// <summary>This process.</summary>
    public static string Current { get; } = Of(Environment.ProcessId) ?? $"{Machine()}/0/{Environment.ProcessId}/0";

    /// <summary>Names a process of this machine; <see langword="null"/> when there is none of this number.</summary>
    public static string? Of(int processId) =>
        StartOf(processId) is { } start ? string.Create(CultureInfo.InvariantCulture, $"{Machine()}/{Namespace()}/{processId}/{start}") : null;

    public static State StateOf(string identity)
    {
        var parts = identity.Split('/');
        if (parts.Length != 4 || parts[0] != Machine() || parts[1] != Namespace() || !int.TryParse(parts[2], NumberStyles.None, CultureInfo.InvariantCulture, out var processId))
        {
            return State.Unknown;
        }

        if (identity == Current)
        {
            return State.Alive;
        }

        return StartOf(processId) is { } start ? (start == parts[3] ? State.Alive : State.Dead)
            : SeesOthers() ? State.Dead : State.Unknown;
    }

    /// <summary>Whether this process may look at those of others, so that one it does not see is gone (hidepid of proc(5), systemd's ProtectProc).</summary>
    private static bool SeesOthers()
    {
        try
        {
            return OperatingSystem.IsLinux() && File.ReadAllText("/proc/1/stat").Length > 0;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static string Machine() =>
        OperatingSystem.IsLinux() ? File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim() : Environment.MachineName;

    private static string Namespace() =>
        OperatingSystem.IsLinux() ? new FileInfo("/proc/self/ns/pid").LinkTarget?.Trim("pid:[]".ToCharArray()) ?? "0" : "0";

    private static string? StartOf(int processId)
    {
        try
        {
            if (OperatingSystem.IsLinux())
            {
                // Counted from behind the name, which may hold anything: the third field is the state, the 22nd the start.
                var stat = File.ReadAllText($"/proc/{processId}/stat");
                var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
                return fields[0] is "Z" or "X" ? null : fields[19];
            }

            using var process = Process.GetProcessById(processId);
            return process.StartTime.ToUniversalTime().Ticks.ToString(CultureInfo.InvariantCulture);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException or InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }
}
