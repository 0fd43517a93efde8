using DeepRecall.Sandboxes.Tests.SdkConformance;
using DeepRecall.Testing.Emulators.Modal;

namespace DeepRecall.Sandboxes.Tests.Modal;

/// <summary>The emulated Modal, as Modal's own SDK sees it, in both generations of its API.</summary>
public sealed class ModalSdkTests(ModalFixture modal) : IClassFixture<ModalFixture>
{
    [Theory]
    [InlineData("1")]
    [InlineData("0")]
    public async Task Modal_SatisfiesItsSdk(string secondGeneration)
    {
        await NodeRunner.RunAsync(
            "modal.test.mjs",
            new Dictionary<string, string>
            {
                ["MODAL_SERVER_URL"] = modal.Emulator.Url,
                ["MODAL_TOKEN_ID"] = ModalEmulator.TokenId,
                ["MODAL_TOKEN_SECRET"] = ModalEmulator.TokenSecret,
                ["MODAL_SANDBOX_V2"] = secondGeneration,
            },
            TestContext.Current.CancellationToken);
        Assert.Empty(modal.Emulator.Running);
    }
}
