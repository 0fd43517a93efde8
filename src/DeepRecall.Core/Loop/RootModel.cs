using Microsoft.Extensions.AI;

namespace DeepRecall.Loop;

/// <summary>The model of one run: asks it for a reply, streamed or whole, and reads the reply on the way.</summary>
internal sealed class RootModel(RunScope scope, IChatClient client, ChatOptions? options, bool isRoot)
{
    public async Task<ModelReply> AskAsync(IReadOnlyList<ChatMessage> messages, CancellationToken cancellationToken)
    {
        var started = scope.Time.GetTimestamp();
        var reader = new ReplyReader(isRoot ? scope.Sink : null);
        var response = await scope.Limiter.CallModelAsync(
            () => isRoot && scope.Sink.IsStreaming ? StreamAsync(messages, reader, cancellationToken) : GetAsync(messages, reader, cancellationToken),
            cancellationToken).ConfigureAwait(false);
        return reader.Complete(response, scope.Time.GetElapsedTime(started));
    }

    private async Task<ChatResponse?> GetAsync(IReadOnlyList<ChatMessage> messages, ReplyReader reader, CancellationToken cancellationToken)
    {
        var response = await client.GetResponseAsync(messages, options?.Clone(), cancellationToken).WaitAsync(cancellationToken).ConfigureAwait(false);
        foreach (var content in response?.Messages.SelectMany(message => message.Contents) ?? [])
        {
            reader.Take(content);
        }

        return response;
    }

    private async Task<ChatResponse?> StreamAsync(IReadOnlyList<ChatMessage> messages, ReplyReader reader, CancellationToken cancellationToken)
    {
        List<ChatResponseUpdate> updates = [];
        var stream = client.GetStreamingResponseAsync(messages, options?.Clone(), cancellationToken).GetAsyncEnumerator(cancellationToken);
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

    public ModelReply Complete(ChatResponse? response, TimeSpan duration)
    {
        Tell(_scanner.Complete());
        return new ModelReply
        {
            Text = _text.ToString(),
            Spoken = _scanner.Spoken,
            Blocks = _scanner.Blocks,
            Usage = response?.Usage,
            FinishReason = response?.FinishReason,
            ModelId = response?.ModelId,
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

    public string? ModelId { get; init; }

    public required TimeSpan Duration { get; init; }
}
