using System.Runtime.CompilerServices;
using System.Threading.Channels;
using DeepRecall.Budgets;
using DeepRecall.Loop;
using DeepRecall.Request;
using DeepRecall.Subcalls;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace DeepRecall;

/// <summary>A chat client that makes of the client it wraps a Recursive Language Model (RLM).</summary>
/// <remarks>
/// <para>
/// The long input of a request (<see cref="ContextContent"/>, or the conversation itself) becomes a variable in a sandboxed Python
/// REPL; the wrapped client's model writes code over it, calls sub-models from that code, and ends by setting an answer. To the
/// caller it is one response. The idea is that of "Recursive Language Models" (Zhang, Kraska and Khattab, 2025).
/// </para>
/// <para>
/// The last user message's text is the question. Earlier messages become <c>history</c> in the REPL; system messages and
/// <see cref="ChatOptions.Instructions"/> are given to the model as the caller's instructions; <see cref="ChatOptions.Tools"/> become
/// Python functions and are not sent to the model as tools. The other <see cref="ChatOptions"/> go to the wrapped client with every
/// turn. <see cref="ChatOptions.ConversationId"/> is not sent on, because a run keeps its own messages.
/// </para>
/// <para>
/// Every turn is a message of the response: the model's prose as <see cref="TextReasoningContent"/>, and what happened as events
/// (<see cref="TrajectoryExtensions.GetDeepRecallEvents"/>). The last message is the answer, so that <see cref="ChatResponse.Text"/> is the
/// answer alone. Usage is the sum over all model calls of the request. <see cref="TrajectoryExtensions.GetTrajectory(ChatResponse)"/> tells
/// everything; when a request fails, the exception carries it.
/// </para>
/// <para>Instances are thread-safe: requests run at the same time, each in a sandbox process of its own.</para>
/// </remarks>
public sealed class DeepRecallChatClient : DelegatingChatClient
{
    private readonly DeepRecallOptions _options;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly IServiceProvider? _services;

    /// <summary>Initializes a new instance of the <see cref="DeepRecallChatClient"/> class.</summary>
    /// <param name="innerClient">The client of the root model.</param>
    /// <param name="options">How to work; read once, here. <see cref="DeepRecallOptions.Sandbox"/> must be set.</param>
    /// <param name="loggerFactory">Where to log, or <see langword="null"/>.</param>
    /// <param name="timeProvider">The clock, or <see langword="null"/> for the system's.</param>
    /// <param name="services">What tools are given as <see cref="AIFunctionArguments.Services"/>, or <see langword="null"/>.</param>
    /// <exception cref="ArgumentException">An option is out of range or missing; all problems are named.</exception>
    public DeepRecallChatClient(
        IChatClient innerClient,
        DeepRecallOptions options,
        ILoggerFactory? loggerFactory = null,
        TimeProvider? timeProvider = null,
        IServiceProvider? services = null)
        : base(innerClient)
    {
        ArgumentNullException.ThrowIfNull(options);
        var problems = options.Validate();
        if (problems.Count > 0)
        {
            throw new ArgumentException($"{nameof(DeepRecallOptions)}: {string.Join(' ', problems)}", nameof(options));
        }

        if (options.Sandbox is null)
        {
            throw new ArgumentException($"{nameof(DeepRecallOptions)}.{nameof(DeepRecallOptions.Sandbox)} is not set; code needs a place to run, for example a LocalSandbox.", nameof(options));
        }

        _options = options.Clone();
        _logger = loggerFactory?.CreateLogger<DeepRecallChatClient>() ?? NullLogger<DeepRecallChatClient>.Instance;
        _time = timeProvider ?? TimeProvider.System;
        _services = services;
    }

    /// <inheritdoc />
    /// <exception cref="ArgumentException">The messages hold no question, or a message, a context or a tool is not usable.</exception>
    /// <exception cref="Sandboxing.SandboxException">The sandbox could not be started.</exception>
    public override async Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages,
        ChatOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        var request = RequestMapper.Map(messages, options);
        var runId = NewRunId();
        var sink = new RunSink(runId, _time.GetUtcNow(), channel: null);
        await RunAsync(request, runId, sink, cancellationToken).ConfigureAwait(false);
        return sink.Complete().ToChatResponse();
    }

    /// <inheritdoc />
    /// <exception cref="ArgumentException">The messages hold no question, or a message, a context or a tool is not usable.</exception>
    /// <exception cref="Sandboxing.SandboxException">The sandbox could not be started.</exception>
    /// <remarks>A caller that stops reading ends the run.</remarks>
    public override async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages,
        ChatOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var request = RequestMapper.Map(messages, options);
        var runId = NewRunId();
        var channel = Channel.CreateUnbounded<ChatResponseUpdate>(new UnboundedChannelOptions { SingleReader = true });
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var run = RunIntoAsync(channel.Writer, request, runId, ended.Token);
        try
        {
            // The run heeds the token and ends the channel, with the exception that carries its trajectory.
            await foreach (var update in channel.Reader.ReadAllAsync(CancellationToken.None).ConfigureAwait(false))
            {
                yield return update;
            }
        }
        finally
        {
            await ended.CancelAsync().ConfigureAwait(false);
            await run.ConfigureAwait(false);
        }
    }

    private static string NewRunId() => Guid.NewGuid().ToString("N");

    private async Task RunIntoAsync(ChannelWriter<ChatResponseUpdate> channel, RlmRequest request, string runId, CancellationToken cancellationToken)
    {
        Exception? failure = null;
        try
        {
            await RunAsync(request, runId, new RunSink(runId, _time.GetUtcNow(), channel), cancellationToken).ConfigureAwait(false);
        }
        catch (Exception error)
        {
            failure = error;
        }

        channel.Complete(failure);
    }

    private async Task RunAsync(RlmRequest request, string runId, RunSink sink, CancellationToken cancellationToken)
    {
        // Without sub-clients the wrapped client answers sub-calls too, with the model that the caller asked for.
        var model = request.ModelOptions?.ModelId;
        IReadOnlyList<SubClient> clients = _options.SubClients.Count > 0
            ? [.. _options.SubClients]
            : [new SubClient("default", InnerClient, model is null ? null : new ChatOptions { ModelId = model })];
        var router = new SubClientRouter(clients, _options.SubClientByDepth);
        var scope = new RunScope(_options, _options.Sandbox!, router, sink, _time, _logger, _services);
        var loop = new RlmLoop(scope, request, InnerClient, runId, depth: 0, new UsageTally());
        var outcome = await loop.RunAsync(cancellationToken).ConfigureAwait(false);
        sink.BeginMessage($"{runId}-answer");
        sink.Write(new TextContent(outcome.Answer));
        var properties = new AdditionalPropertiesDictionary { [TrajectoryExtensions.Key] = outcome.Trajectory };
        if (outcome.Trajectory.Usage.GetCostUsd() is { } cost)
        {
            properties[UsageCostExtensions.CostProperty] = cost;
        }

        sink.Write(new ChatResponseUpdate
        {
            Contents = [new UsageContent(UsageTally.Copy(outcome.Trajectory.Usage))],
            FinishReason = outcome.StopReason == StopReason.Answered ? ChatFinishReason.Stop : ChatFinishReason.Length,
            AdditionalProperties = properties,
        });
    }
}
