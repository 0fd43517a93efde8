using System.Diagnostics;
using DeepRecall.Testing.Emulators;

namespace DeepRecall.Sandboxes.Tests.Cloud;

public sealed class HostWatchTests
{
    [Fact]
    public async Task ProcessesOfAnEmulatorThatIsGone_AreEnded()
    {
        var value = Guid.NewGuid().ToString("N");
        using var watch = HostWatch.Watch(value);
        var start = new ProcessStartInfo("/bin/sh", ["-c", "sleep 600 & wait"]);
        start.Environment[HostWatch.Variable] = value;
        using var shell = Process.Start(start)!;
        Assert.False(shell.HasExited);
        watch.StandardInput.Close(); // as it is when the emulator's process ends
        await shell.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
        Assert.Equal(128 + 9, shell.ExitCode);
    }

    [Fact]
    public async Task ProcessesOfEmulatedMachines_CarryTheMark()
    {
        var machine = new LocalMachine();
        using var process = Process.Start(machine.Command(["sh", "-c", $"echo ${HostWatch.Variable}"]))!;
        Assert.Equal(HostWatch.Value, (await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken)).Trim());
        machine.Destroy();
    }
}
