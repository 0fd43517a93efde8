using DeepRecall.Sandboxes.Tests.Cloud;
using DeepRecall.Testing.Emulators.Daytona;

namespace DeepRecall.Sandboxes.Tests.Daytona;

/// <summary>The emulated Daytona, as Daytona's own SDK sees it.</summary>
public sealed class DaytonaSdkTests(DaytonaFixture daytona) : IClassFixture<DaytonaFixture>
{
    [Fact]
    public async Task TheSdk_FindsWhatItExpects()
    {
        await SdkRun.RunAsync("daytona.test.mjs", ("DAYTONA_API_URL", daytona.Emulator.ApiUrl), ("DAYTONA_API_KEY", DaytonaEmulator.ApiKey));
        Assert.Empty(daytona.Emulator.Running);
    }
}
