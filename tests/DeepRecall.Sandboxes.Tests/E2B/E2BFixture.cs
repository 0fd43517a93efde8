using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxes.E2B;
using DeepRecall.Testing.Emulators.E2B;
using Microsoft.Extensions.Logging.Abstractions;

namespace DeepRecall.Sandboxes.Tests.E2B;

/// <summary>An emulator of E2B, and environments that use it.</summary>
public sealed class E2BFixture : IAsyncLifetime
{
    // As the product waits, only shorter.
    internal static readonly BackOff Quick = new(8, TimeSpan.FromMilliseconds(10), TimeSpan.FromMilliseconds(300));

    private readonly SocketsHttpHandler _handler = CloudHost.CreateHandler();

    public E2BEmulator Emulator { get; } = new();

    public async ValueTask InitializeAsync() => await Emulator.StartAsync();

    public async ValueTask DisposeAsync()
    {
        _handler.Dispose();
        await Emulator.DisposeAsync();
    }

    internal E2BSandbox CreateSandbox(Action<E2BSandboxOptions>? configure = null, TimeProvider? time = null, HttpMessageHandler? handler = null, int attempts = 8)
    {
        var options = new E2BSandboxOptions { ApiKey = Emulator.ApiKey, ApiUrl = Emulator.Url, SandboxUrl = Emulator.Url };
        configure?.Invoke(options);
        var host = new CloudHost(handler ?? _handler, time ?? TimeProvider.System, NullLogger.Instance);
        return new E2BSandbox(E2BSettings.Resolve(options, _ => null), host, Quick with { Attempts = 4 }, Quick with { Attempts = attempts });
    }
}
