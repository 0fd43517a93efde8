using DeepRecall.Sandboxes.Tests.Cloud;
using DeepRecall.Testing.Emulators.Modal;

namespace DeepRecall.Sandboxes.Tests.Modal;

/// <summary>The emulated Modal, as Modal's own SDK sees it.</summary>
public sealed class ModalSdkTests(ModalFixture modal) : IClassFixture<ModalFixture>
{
    [Theory]
    [InlineData("1")]
    [InlineData("0")]
    public async Task TheSdk_FindsWhatItExpects(string secondGeneration)
    {
        await SdkRun.RunAsync(
            "modal.test.mjs",
            ("MODAL_SERVER_URL", modal.Emulator.Url),
            ("MODAL_TOKEN_ID", ModalEmulator.TokenId),
            ("MODAL_TOKEN_SECRET", ModalEmulator.TokenSecret),
            ("MODAL_SANDBOX_V2", secondGeneration));
        Assert.Empty(modal.Emulator.Running);
    }
}
