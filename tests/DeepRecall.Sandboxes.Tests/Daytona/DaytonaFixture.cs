using DeepRecall.Sandboxes.Daytona;
using DeepRecall.Testing.Emulators.Daytona;

namespace DeepRecall.Sandboxes.Tests.Daytona;

/// <summary>An emulated Daytona for the tests of a class.</summary>
public sealed class DaytonaFixture : IAsyncLifetime
{
    public DaytonaEmulator Emulator { get; } = new();

    public DaytonaSandbox Sandbox { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        await Emulator.StartAsync();
        Emulator.Faults.StartStates = []; // else every start takes the time of three polls
        Sandbox = new DaytonaSandbox(Options(Emulator));
    }

    public ValueTask DisposeAsync() => Emulator.DisposeAsync();

    public static DaytonaSandboxOptions Options(DaytonaEmulator emulator) => new() { ApiKey = DaytonaEmulator.ApiKey, ApiUrl = emulator.ApiUrl };
}
