using DeepRecall.Testing.Emulators;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;

namespace DeepRecall.Backends.Tests.Contract;

/// <summary>A backend of one provider against its emulator.</summary>
public abstract class BackendFixture<TEmulator> : IAsyncLifetime
    where TEmulator : ProviderEmulator, new()
{
    private protected const string Key = "secret-key-of-the-test";
    private protected const string Model = "big-model";

    private protected static CancellationToken Token => TestContext.Current.CancellationToken;

    private protected TEmulator Emulator { get; } = new();

    private protected JumpingClock Clock { get; } = new(new BackendOptions().Timeout);

    /// <summary>One of <see cref="BackendNames"/>.</summary>
    private protected abstract string Provider { get; }

    /// <summary>The path of the address that the backend is given.</summary>
    private protected virtual string BasePath => string.Empty;

    public async ValueTask InitializeAsync() => await Emulator.StartAsync();

    public async ValueTask DisposeAsync()
    {
        await Emulator.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    private protected IChatClient Client(Action<BackendOptions>? configure = null)
    {
        var options = new BackendOptions { Provider = Provider, ModelName = Model, ApiKey = Key, BaseUrl = Emulator.Url + BasePath };
        configure?.Invoke(options);
        return Backend.CreateChatClient(options, new ServiceCollection().AddSingleton<TimeProvider>(Clock).BuildServiceProvider());
    }

    private protected static Task<ChatResponse> AskAsync(IChatClient client, bool streamed, string text = "Hello", ChatOptions? options = null) =>
        AskAsync(client, streamed, [new ChatMessage(ChatRole.User, text)], options);

    private protected static async Task<ChatResponse> AskAsync(IChatClient client, bool streamed, IReadOnlyList<ChatMessage> messages, ChatOptions? options = null) =>
        streamed
            ? await client.GetStreamingResponseAsync(messages, options, Token).ToChatResponseAsync(Token)
            : await client.GetResponseAsync(messages, options, Token);
}
