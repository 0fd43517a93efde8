using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxes.Prime;
using DeepRecall.Testing.Emulators.Prime;
using Microsoft.Extensions.Logging.Abstractions;

namespace DeepRecall.Sandboxes.Tests.Prime;

/// <summary>An emulator of Prime Intellect, and environments that use it.</summary>
public sealed class PrimeFixture : IAsyncLifetime
{
    // As the product waits, only shorter.
    private static readonly BackOff Quick = new(8, TimeSpan.FromMilliseconds(10), TimeSpan.FromMilliseconds(300));

    private readonly SocketsHttpHandler _handler = CloudHost.CreateHandler();

    public PrimeEmulator Emulator { get; } = new();

    public async ValueTask InitializeAsync() => await Emulator.StartAsync();

    public async ValueTask DisposeAsync()
    {
        _handler.Dispose();
        await Emulator.DisposeAsync();
    }

    internal PrimeSandbox CreateSandbox(Action<PrimeSandboxOptions>? configure = null, HttpMessageHandler? handler = null, int attempts = 8)
    {
        var options = new PrimeSandboxOptions { ApiKey = Emulator.ApiKey, BaseUrl = Emulator.Url };
        configure?.Invoke(options);
        var host = new CloudHost(handler ?? _handler, TimeProvider.System, NullLogger.Instance);
        return new PrimeSandbox(PrimeSettings.Resolve(options, _ => null), host, Quick with { Attempts = 4 }, Quick with { Attempts = attempts });
    }
}
