using DeepRecall.Sandboxes.Tests.SdkConformance;
using DeepRecall.Testing.Emulators.Daytona;

namespace DeepRecall.Sandboxes.Tests.Daytona;

/// <summary>The emulated Daytona, as Daytona's own SDK sees it.</summary>
public sealed class DaytonaSdkTests(DaytonaFixture daytona) : IClassFixture<DaytonaFixture>
{
    [Fact]
    public async Task Daytona_SatisfiesItsSdk()
    {
        await NodeRunner.RunAsync(
            "daytona.test.mjs",
            new Dictionary<string, string> { ["DAYTONA_API_URL"] = daytona.Emulator.ApiUrl, ["DAYTONA_API_KEY"] = DaytonaEmulator.ApiKey },
            TestContext.Current.CancellationToken);
        Assert.Empty(daytona.Emulator.Running);
    }
}
