using System.Globalization;
using System.Runtime.InteropServices;

namespace DeepRecall.Sandboxes.Local.Confinement;

/// <summary>What the kernel tells of a process (proc(5)), which the process itself cannot change.</summary>
internal static partial class ProcessFacts
{
    private const string NoCapabilities = "0000000000000000";
    private const int NoSuchProcess = 3; // ESRCH

    /// <summary>Whether a process is there, also where /proc does not show it.</summary>
    public static bool IsAlive(int processId) => SendSignal(processId, 0) == 0 || Marshal.GetLastPInvokeError() != NoSuchProcess;

    /// <summary>Reads how a process is confined.</summary>
    /// <returns><see langword="null"/> when it has ended, or when /proc does not show it: with hidepid it hides what is not dumpable.</returns>
    public static Privileges? ReadPrivileges(int processId)
    {
        try
        {
            var fields = File.ReadLines($"/proc/{processId}/status")
                .Select(line => line.Split(':', 2))
                .Where(parts => parts.Length == 2)
                .ToDictionary(parts => parts[0], parts => parts[1].Trim(), StringComparer.Ordinal);
            return new Privileges(
                fields.GetValueOrDefault("NoNewPrivs") == "1",
                fields.GetValueOrDefault("Seccomp") == "2",
                fields.GetValueOrDefault("CapPrm") == NoCapabilities && fields.GetValueOrDefault("CapEff") == NoCapabilities);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Reads what a process uses.</summary>
    /// <returns><see langword="null"/> when it has ended, or when /proc does not show it.</returns>
    public static Usage? ReadUsage(int processId)
    {
        try
        {
            // After the name, which may hold anything: state is field 3, utime 14, stime 15, num_threads 20, vsize 23.
            var text = File.ReadAllText($"/proc/{processId}/stat");
            var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            return new Usage(Parse(fields[11]) + Parse(fields[12]), (int)Parse(fields[17]), Parse(fields[20]));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static long Parse(string field) => long.Parse(field, CultureInfo.InvariantCulture);

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int SendSignal(int processId, int signal);

    internal sealed record Privileges(bool NoNewPrivileges, bool HasFilter, bool HasNoCapabilities);

    /// <param name="Ticks">The processor time it took so far, in the kernel's own unit.</param>
    /// <param name="Threads">How many threads it has.</param>
    /// <param name="AddressSpace">How many bytes of address space it has.</param>
    internal sealed record Usage(long Ticks, int Threads, long AddressSpace);
}
