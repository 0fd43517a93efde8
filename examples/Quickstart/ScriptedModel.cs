using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;

namespace Quickstart;

/// <summary>A stand-in for a model, where no provider is configured: its reply is a function of the messages that it is sent.</summary>
internal sealed class ScriptedModel(string name, Func<IReadOnlyList<ChatMessage>, string> reply) : IChatClient
{
    private const int ChunkSize = 24;

    // A usual estimate; a script has no tokens.
    private const int CharactersPerToken = 4;

    /// <summary>Makes a root model that follows a script of replies with real code: what the code finds is up to the REPL.</summary>
    public static ScriptedModel Root(string script, string question)
    {
        using var reader = new StreamReader(typeof(ScriptedModel).Assembly.GetManifestResourceStream(script)!);
        var replies = reader.ReadToEnd().ReplaceLineEndings("\n")
            .Replace("{{question}}", ToPython(question), StringComparison.Ordinal)
            .Split("=====\n", StringSplitOptions.TrimEntries);
        return new ScriptedModel("scripted-root", messages =>
        {
            var turn = messages.Count(message => message.Role == ChatRole.Assistant);
            return turn < replies.Length
                ? replies[turn]
                : throw new InvalidOperationException($"the scripted model has come to the end of its script without an answer (after {turn} replies)");
        });
    }

    /// <summary>Makes a sub-model that answers from what its prompt says.</summary>
    public static ScriptedModel Sub() => new("scripted-sub", messages => ScriptedReader.Answer(messages[^1].Text));

    public Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var sent = messages.ToArray();
        var text = reply(sent);
        var input = sent.Sum(message => message.Text.Length) / CharactersPerToken;
        var output = text.Length / CharactersPerToken;
        return Task.FromResult(new ChatResponse(new ChatMessage(ChatRole.Assistant, text))
        {
            ModelId = name,
            FinishReason = ChatFinishReason.Stop,
            Usage = new UsageDetails { InputTokenCount = input, OutputTokenCount = output, TotalTokenCount = input + output },
        });
    }

    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages,
        ChatOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var response = await GetResponseAsync(messages, options, cancellationToken);
        foreach (var piece in response.Text.Chunk(ChunkSize))
        {
            yield return new ChatResponseUpdate(ChatRole.Assistant, new string(piece));
        }

        yield return new ChatResponseUpdate(ChatRole.Assistant, [new UsageContent(response.Usage!)]) { FinishReason = response.FinishReason };
    }

    public object? GetService(Type serviceType, object? serviceKey = null) =>
        serviceKey is not null ? null
        : serviceType == typeof(ChatClientMetadata) ? new ChatClientMetadata("scripted", defaultModelId: name)
        : serviceType.IsInstanceOfType(this) ? this
        : null;

    public void Dispose()
    {
    }

    private static string ToPython(string text) =>
        "\"" + text.Replace("\\", "\\\\", StringComparison.Ordinal)
            .Replace("\"", "\\\"", StringComparison.Ordinal)
            .Replace("\r", "\\r", StringComparison.Ordinal)
            .Replace("\n", "\\n", StringComparison.Ordinal) + "\"";
}
