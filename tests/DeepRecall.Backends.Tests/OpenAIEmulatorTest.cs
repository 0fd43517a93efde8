using DeepRecall.Testing.Emulators;
using Microsoft.Extensions.AI;

namespace DeepRecall.Backends.Tests;

/// <summary>A test that talks to an emulated OpenAI of its own.</summary>
public abstract class OpenAIEmulatorTest : IAsyncLifetime
{
    protected const string Key = "sk-test-0123456789";

    protected static CancellationToken Token => TestContext.Current.CancellationToken;

    protected OpenAIEmulator Emulator { get; } = new();

    public async ValueTask InitializeAsync() => await Emulator.StartAsync();

    public async ValueTask DisposeAsync()
    {
        await Emulator.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    /// <summary>Options that lead to the emulator, with waits that tests do not notice.</summary>
    protected BackendOptions OptionsOf(string provider = BackendNames.OpenAI) => new()
    {
        Provider = provider,
        ModelName = "model-a",
        ApiKey = Key,
        BaseUrl = $"{Emulator.Url}/v1",
        RetryBaseDelay = TimeSpan.FromMilliseconds(1),
    };

    /// <summary>Asks a question, streamed or whole; the response is the same.</summary>
    protected static async Task<ChatResponse> AskAsync(IChatClient client, bool streamed, string question = "Hi?", CancellationToken? cancellationToken = null) =>
        streamed
            ? await client.GetStreamingResponseAsync(question, cancellationToken: cancellationToken ?? Token).ToChatResponseAsync(cancellationToken ?? Token)
            : await client.GetResponseAsync(question, cancellationToken: cancellationToken ?? Token);
}
