using DeepRecall.Sandboxes.Prime.Wire;
using DeepRecall.Testing.Emulators.E2B;
using DeepRecall.Testing.Emulators.Prime;

namespace DeepRecall.Sandboxes.Tests.SdkConformance;

/// <summary>The emulators satisfy the vendors' own SDKs, so that what passes against an emulator may be trusted.</summary>
public sealed class SdkConformanceTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task E2B_SatisfiesItsSdk()
    {
        await using var emulator = new E2BEmulator();
        await emulator.StartAsync();
        await NodeRunner.RunAsync(
            "e2b.test.mjs",
            new Dictionary<string, string> { ["E2B_API_KEY"] = emulator.ApiKey, ["E2B_API_URL"] = emulator.Url, ["E2B_SANDBOX_URL"] = emulator.Url },
            Token);
        Assert.Contains(emulator.Requests, request => request is { Method: "POST", Path: "/v2/sandboxes" });
        Assert.Contains(emulator.Requests, request => request is { Method: "POST", Path: "/sandboxes" });
        Assert.Empty(emulator.Sandboxes);
    }

    [Fact]
    public async Task Prime_SatisfiesTheConnectClient()
    {
        await using var emulator = new PrimeEmulator();
        await emulator.StartAsync();
        await NodeRunner.RunAsync(
            "prime.test.mjs",
            new Dictionary<string, string>
            {
                ["PRIME_API_KEY"] = emulator.ApiKey,
                ["PRIME_API_BASE_URL"] = emulator.Url,
                ["PRIME_DESCRIPTOR"] = CommandSessionReflection.Descriptor.SerializedData.ToBase64(),
            },
            Token);
        Assert.Empty(emulator.Sandboxes);
    }
}
