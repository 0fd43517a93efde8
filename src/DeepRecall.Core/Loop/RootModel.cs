using DeepRecall.Budgets;
using Microsoft.Extensions.AI;

namespace DeepRecall.Loop;

/// <summary>The model of one run: asks it for a reply, streamed or whole, and reads the reply on the way.</summary>
internal sealed class RootModel(RunScope scope, IChatClient client, ModelInfo info, ChatOptions? options, UsageTally tally, bool isRoot)
{
    /// <summary>The model's window in tokens.</summary>
    public int Window { get; } = WindowOf(client, info, options?.ModelId);

    /// <summary>Asks for the reply of a turn.</summary>
    public async Task<ModelReply> AskAsync(IReadOnlyList<ChatMessage> messages, CancellationToken cancellationToken)
    {
        var started = scope.Time.GetTimestamp();
        var reader = new ReplyReader(isRoot ? scope.Sink : null);
        var streams = isRoot && scope.Sink.IsStreaming;
        var response = await scope.Meter.CallAsync(
            client,
            info,
            messages,
            options,
            tally,
            (own, progress, token) => streams ? StreamAsync(messages, own, reader, progress, token) : GetAsync(messages, own, token),
            cancellationToken).ConfigureAwait(false);
        if (!streams)
        {
            reader.Take(response.Response);
        }

        return reader.Complete(response, scope.Time.GetElapsedTime(started));
    }

    /// <summary>Asks for a text that is no turn, such as a summary: nothing of it is shown.</summary>
    /// <param name="messages">The prompt.</param>
    /// <param name="ownOptions">The call's options.</param>
    /// <param name="closing">Whether this is the last call, which may use what was kept for it.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async Task<ModelReply> AskAsideAsync(IReadOnlyList<ChatMessage> messages, ChatOptions? ownOptions, bool closing, CancellationToken cancellationToken)
    {
        var started = scope.Time.GetTimestamp();
        var reader = new ReplyReader(sink: null);
        var response = await scope.Meter.CallAsync(
            client, info, messages, ownOptions, tally, (own, _, token) => GetAsync(messages, own, token), cancellationToken, closing).ConfigureAwait(false);
        reader.Take(response.Response);
        return reader.Complete(response, scope.Time.GetElapsedTime(started));
    }

    // What is known of the client's model says nothing of another one that a request asks for.
    private static int WindowOf(IChatClient client, ModelInfo info, string? asked)
    {
        var own = client.GetService<ChatClientMetadata>()?.DefaultModelId;
        var isOther = asked is not null && own is not null && asked != own;
        return isOther ? ModelWindows.Of(asked) : info.ContextWindow ?? ModelWindows.Of(asked ?? own);
    }

    private async Task<ChatResponse?> GetAsync(IReadOnlyList<ChatMessage> messages, ChatOptions? own, CancellationToken cancellationToken) =>
        await client.GetResponseAsync(messages, own, cancellationToken).ConfigureAwait(false);

    private async Task<ChatResponse?> StreamAsync(IReadOnlyList<ChatMessage> messages, ChatOptions? own, ReplyReader reader, CallProgress progress, CancellationToken cancellationToken)
    {
        List<ChatResponseUpdate> updates = [];
        var stream = client.GetStreamingResponseAsync(messages, own, cancellationToken).GetAsyncEnumerator(cancellationToken);
        var abandoned = false;
        try
        {
            while (true)
            {
                var next = stream.MoveNextAsync().AsTask();
                try
                {
                    if (!await next.WaitAsync(cancellationToken).ConfigureAwait(false))
                    {
                        break;
                    }
                }
                catch (OperationCanceledException) when (!next.IsCompleted)
                {
                    abandoned = true; // a client that does not heed its token: it may not be disposed under its own feet
                    throw;
                }

                var update = stream.Current;
                progress.HasBegun = true;
                updates.Add(update);
                foreach (var content in update.Contents)
                {
                    reader.Take(content);
                }
            }
        }
        finally
        {
            if (!abandoned)
            {
                await stream.DisposeAsync().ConfigureAwait(false);
            }
        }

        return updates.ToChatResponse();
    }
}

/// <summary>Reads a reply's contents as they come; prose and reasoning go on to the sink, if there is one.</summary>
internal sealed class ReplyReader(IRunSink? sink)
{
    private readonly ReplyScanner _scanner = new();
    private readonly System.Text.StringBuilder _text = new();

    public void Take(ChatResponse? response)
    {
        foreach (var content in response?.Messages.SelectMany(message => message.Contents) ?? [])
        {
            Take(content);
        }
    }

    public void Take(AIContent content)
    {
        switch (content)
        {
            case TextContent text:
                _text.Append(text.Text);
                Tell(_scanner.Append(text.Text ?? string.Empty));
                break;
            case TextReasoningContent { Text.Length: > 0 } reasoning:
                Tell(reasoning.Text);
                break;
        }
    }

    public ModelReply Complete(ModelResponse response, TimeSpan duration)
    {
        Tell(_scanner.Complete());
        return new ModelReply
        {
            Text = _text.ToString(),
            Spoken = _scanner.Spoken,
            Blocks = _scanner.Blocks,
            Usage = response.Usage,
            FinishReason = response.Response?.FinishReason,
            Duration = duration,
        };
    }

    private void Tell(string prose)
    {
        if (prose.Length > 0)
        {
            sink?.Write(new TextReasoningContent(prose));
        }
    }
}

/// <summary>A reply of the model.</summary>
internal sealed record ModelReply
{
    public required string Text { get; init; }

    public required string Spoken { get; init; }

    public required IReadOnlyList<ReplyBlock> Blocks { get; init; }

    public UsageDetails? Usage { get; init; }

    public ChatFinishReason? FinishReason { get; init; }

    public required TimeSpan Duration { get; init; }
}
