using DeepRecall.Backends.Tests.Contract;
using DeepRecall.Testing.Emulators;
using Microsoft.Extensions.AI;

namespace DeepRecall.Backends.Tests.Gemini;

/// <summary>The Gemini backend against its emulator.</summary>
public abstract class GeminiFixture : BackendFixture<GeminiEmulator>
{
    private protected override string Provider => BackendNames.Gemini;

    private protected override string BasePath => "/v1beta";

    /// <summary>What is sent for these messages.</summary>
    private protected async Task<EmulatedRequest> SendAsync(IReadOnlyList<ChatMessage> messages, ChatOptions? options = null, Action<BackendOptions>? configure = null)
    {
        using var client = Client(configure);
        await AskAsync(client, streamed: false, messages, options);
        return Emulator.Requests[^1];
    }

    private protected Task<EmulatedRequest> SendAsync(ChatOptions? options = null, Action<BackendOptions>? configure = null) =>
        SendAsync([new ChatMessage(ChatRole.User, "Hello")], options, configure);

    /// <summary>The response to these events; unstreamed, to the first.</summary>
    private protected async Task<ChatResponse> ReceiveAsync(bool streamed, params string[] events)
    {
        Emulator.Raw = _ => events;
        using var client = Client();
        return await AskAsync(client, streamed);
    }

    private protected static string Event(string parts, string more = "") => $$"""{"candidates":[{"content":{"parts":{{parts}},"role":"model"}{{more}}}],"responseId":"r"}""";
}
