using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using DeepRecall.Request;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace WebApi;

/// <summary>A run as server-sent events: <c>turn</c>, <c>thought</c>, <c>code</c>, <c>output</c>, <c>answer</c>, and <c>done</c> or <c>error</c> at the end.</summary>
internal static class Progress
{
    public static async IAsyncEnumerable<SseItem<Step>> StreamAsync(IChatClient client, AskRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        AIContent[] contents = request.Context is { } context
            ? [ContextContent.FromText(context), new TextContent(request.Question)]
            : [new TextContent(request.Question)];
        var updates = client.GetStreamingResponseAsync([new ChatMessage(ChatRole.User, contents)], cancellationToken: cancellationToken).GetAsyncEnumerator(cancellationToken);
        await using (updates)
        {
            while (true)
            {
                SseItem<Step>? failure = null;
                try
                {
                    if (!await updates.MoveNextAsync())
                    {
                        break;
                    }
                }
                catch (Exception error) when (error is not OperationCanceledException)
                {
                    // The response has begun, so that its status cannot tell any more. What the exception says may be for operators only.
                    failure = new SseItem<Step>(new Step { Text = "The question could not be answered.", StopReason = error.GetTrajectory()?.StopReason.ToString() }, "error");
                }

                if (failure is { } told)
                {
                    yield return told;
                    break;
                }

                foreach (var item in Read(updates.Current))
                {
                    yield return item;
                }
            }
        }
    }

    private static IEnumerable<SseItem<Step>> Read(ChatResponseUpdate update)
    {
        foreach (var happened in update.GetDeepRecallEvents().Where(happened => happened.Depth == 0))
        {
            switch (happened)
            {
                case TurnStartedEvent turn:
                    yield return new SseItem<Step>(new Step { Turn = turn.Turn }, "turn");
                    break;
                case CellStartedEvent cell:
                    yield return new SseItem<Step>(new Step { Code = cell.Code }, "code");
                    break;
                case CellCompletedEvent cell:
                    yield return new SseItem<Step>(new Step { Output = cell.Cell.Output }, "output");
                    break;
            }
        }

        foreach (var thought in update.Contents.OfType<TextReasoningContent>())
        {
            yield return new SseItem<Step>(new Step { Text = thought.Text }, "thought");
        }

        if (update.Text.Length > 0)
        {
            yield return new SseItem<Step>(new Step { Text = update.Text }, "answer");
        }

        if (update.GetTrajectory() is { } trajectory)
        {
            yield return new SseItem<Step>(new Step { StopReason = trajectory.StopReason.ToString(), Tokens = trajectory.Usage.TotalTokenCount }, "done");
        }
    }
}
