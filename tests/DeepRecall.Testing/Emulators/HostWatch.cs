using System.Diagnostics;

namespace DeepRecall.Testing.Emulators;

/// <summary>
/// Ends the processes of emulated sandboxes when the process that emulates them is gone, however it ended: some of them have no parent
/// and no stream that would tell them.
/// </summary>
public static class HostWatch
{
    /// <summary>The variable that the processes carry.</summary>
    public const string Variable = "DEEPRECALL_EMULATED_BY";

    // Its input is held open by this process alone, so it reads on when this process is gone. In rounds, for what was just about to start another.
    private const string Program = """
        exec >/dev/null 2>&1
        trap '' HUP INT TERM
        read -r line
        for round in 1 2 3 4 5; do
            for found in $(grep -alzx "$1" /proc/[0-9]*/environ); do
                found=${found#/proc/}
                kill -9 "${found%/environ}"
            done
            sleep 0.1
        done
        """;

    private static readonly Lazy<(Process Process, string Value)> Watching = new(Start);

    /// <summary>The variable's value in the processes of this one's sandboxes.</summary>
    public static string Value => Watching.Value.Value;

    /// <summary>Starts something that ends the processes which carry a value, when its input ends.</summary>
    public static Process Watch(string value) =>
        Process.Start(new ProcessStartInfo("/bin/sh", ["-c", Program, "watch", $"{Variable}={value}"]) { RedirectStandardInput = true })!;

    private static (Process Process, string Value) Start()
    {
        var value = Guid.NewGuid().ToString("N");
        return (Watch(value), value);
    }
}
