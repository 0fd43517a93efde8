using DeepRecall.Sandboxes.Modal;
using DeepRecall.Testing.Emulators.Modal;

namespace DeepRecall.Sandboxes.Tests.Modal;

/// <summary>An emulated Modal for the tests of a class.</summary>
public sealed class ModalFixture : IAsyncLifetime
{
    public ModalEmulator Emulator { get; } = new();

    public ModalSandbox Sandbox { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        await Emulator.StartAsync();
        Sandbox = new ModalSandbox(Options(Emulator));
    }

    public ValueTask DisposeAsync() => Emulator.DisposeAsync();

    public static ModalSandboxOptions Options(ModalEmulator emulator) => new()
    {
        TokenId = ModalEmulator.TokenId,
        TokenSecret = ModalEmulator.TokenSecret,
        ServerUrl = emulator.Url,
    };
}
