using System.Runtime.CompilerServices;
using System.Threading.Channels;
using DeepRecall.Budgets;
using DeepRecall.Loop;
using DeepRecall.Request;
using DeepRecall.Sessions;
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
    private readonly ModelInfo _rootModel;
    private readonly SessionStore? _ownSessions;

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
        _rootModel = ModelInfo.Of(_options.Model, innerClient);
        EnsurePriced(_options, asked: null);
        _logger = loggerFactory?.CreateLogger<DeepRecallChatClient>() ?? NullLogger<DeepRecallChatClient>.Instance;
        _time = timeProvider ?? TimeProvider.System;
        _services = services;
        _ownSessions = _options.SessionStore is null ? new SessionStore(_options.MaxSessions, _options.SessionIdleTimeout, _time, loggerFactory) : null;
    }

    /// <inheritdoc />
    /// <exception cref="ArgumentException">The messages hold no question, or a message, a context or a tool is not usable.</exception>
    /// <exception cref="Sandboxing.SandboxException">The sandbox could not be started.</exception>
    public override async Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages,
        ChatOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        var call = Read(messages, options);
        if (call.IsShort)
        {
            return await InnerClient.GetResponseAsync(call.Messages, call.InnerOptions, cancellationToken).ConfigureAwait(false);
        }

        var sink = new RunSink(call.RunId, call.ConversationId, _time.GetUtcNow(), channel: null);
        await RunAsync(call, sink, cancellationToken).ConfigureAwait(false);
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
        var call = Read(messages, options);
        if (call.IsShort)
        {
            await foreach (var update in InnerClient.GetStreamingResponseAsync(call.Messages, call.InnerOptions, cancellationToken).ConfigureAwait(false))
            {
                yield return update;
            }

            yield break;
        }

        var channel = Channel.CreateUnbounded<ChatResponseUpdate>(new UnboundedChannelOptions { SingleReader = true });
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var run = RunIntoAsync(channel.Writer, call, ended.Token);
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

    /// <summary>Ends the REPLs of conversations that this client keeps, and disposes the wrapped client.</summary>
    /// <param name="disposing">Whether it is being disposed.</param>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _ownSessions?.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <summary>A request as it was made: everything that is wrong with it is found here.</summary>
    private RequestCall Read(IEnumerable<ChatMessage> messages, ChatOptions? chatOptions)
    {
        ArgumentNullException.ThrowIfNull(messages);
        IReadOnlyList<ChatMessage> all = [.. messages];
        var options = _options;
        if (DeepRecallChatOptionsExtensions.GetDeepRecall(chatOptions) is { } own)
        {
            options = own.ApplyTo(_options);
        }

        EnsurePriced(options, chatOptions?.ModelId);
        var request = RequestMapper.Map(all, chatOptions, options.ApprovedTools);
        var runId = Guid.NewGuid().ToString("N");
        return new RequestCall(all, chatOptions, options, request, runId, options.Persistent ? chatOptions?.ConversationId ?? runId : null);
    }

    /// <exception cref="ArgumentException">A cost limit without the price of every model.</exception>
    private void EnsurePriced(DeepRecallOptions options, string? asked)
    {
        if (options.MaxCostUsd is null)
        {
            return;
        }

        if (asked is not null && InnerClient.GetService<ChatClientMetadata>()?.DefaultModelId is { } own && own != asked)
        {
            throw new ArgumentException(
                $"{nameof(DeepRecallOptions.MaxCostUsd)} is {options.MaxCostUsd}, and {nameof(ChatOptions)}.{nameof(ChatOptions.ModelId)} is '{asked}', whose price is not known: the one that is known is that of '{own}'.",
                nameof(asked));
        }

        var unpriced = options.SubClients.Where(client => client.Info.Pricing is null).Select(client => $"the sub-client '{client.Name}'").ToList();
        if (_rootModel.Pricing is null)
        {
            unpriced.Insert(0, "the wrapped client");
        }

        if (unpriced.Count > 0)
        {
            throw new ArgumentException(
                $"{nameof(DeepRecallOptions.MaxCostUsd)} is {options.MaxCostUsd}, and the price of {string.Join(" and ", unpriced)} is not known. "
                + $"Set {nameof(ModelInfo)}.{nameof(ModelInfo.Pricing)} in {nameof(DeepRecallOptions)}.{nameof(DeepRecallOptions.Model)} or {nameof(SubClient)}.{nameof(SubClient.Model)}, or use a client that tells it (BackendOptions.Pricing).",
                nameof(options));
        }
    }

    private async Task RunIntoAsync(ChannelWriter<ChatResponseUpdate> channel, RequestCall call, CancellationToken cancellationToken)
    {
        Exception? failure = null;
        try
        {
            await RunAsync(call, new RunSink(call.RunId, call.ConversationId, _time.GetUtcNow(), channel), cancellationToken).ConfigureAwait(false);
        }
        catch (Exception error)
        {
            failure = error;
        }

        channel.Complete(failure);
    }

    private async Task RunAsync(RequestCall call, RunSink sink, CancellationToken cancellationToken)
    {
        using var deadline = new RunDeadline(call.Options.MaxDuration, _time, cancellationToken);
        var scope = new RunScope(call.Options, Router(call), _rootModel, sink, deadline, _time, _logger, _services);
        var store = call.ConversationId is null ? null : call.Options.SessionStore ?? _ownSessions;
        var loop = new RlmLoop(scope, call.Request, InnerClient, _rootModel, call.RunId, depth: 0, new UsageTally(), store, call.ConversationId);
        var outcome = await loop.RunAsync(deadline.Work, deadline.End).ConfigureAwait(false);
        var trajectory = outcome.Trajectory;
        if (trajectory.StopReason != StopReason.Answered && call.Options.OnLimit == LimitBehavior.Throw)
        {
            throw new BudgetExceededException($"The request was ended by a limit ({trajectory.StopReason}): {trajectory.StopDetail}", trajectory, outcome.HasAnswer ? outcome.Answer : null);
        }

        sink.BeginMessage($"{call.RunId}-answer");
        sink.Write(new TextContent(outcome.Answer));
        var properties = new AdditionalPropertiesDictionary { [TrajectoryExtensions.Key] = trajectory };
        if (trajectory.Usage.GetCostUsd() is { } cost)
        {
            properties[UsageCostExtensions.CostProperty] = cost;
        }

        sink.Write(new ChatResponseUpdate
        {
            Contents = [new UsageContent(UsageTally.Copy(trajectory.Usage))],
            FinishReason = trajectory.StopReason == StopReason.Answered ? ChatFinishReason.Stop : ChatFinishReason.Length,
            AdditionalProperties = properties,
        });
    }

    // Without sub-clients the wrapped client answers sub-calls too, with the model that the caller asked for.
    private SubClientRouter Router(RequestCall call)
    {
        var model = call.Request.ModelOptions?.ModelId;
        IReadOnlyList<SubClient> clients = call.Options.SubClients.Count > 0
            ? [.. call.Options.SubClients]
            : [new SubClient("default", InnerClient, model is null ? null : new ChatOptions { ModelId = model }) { Model = _rootModel }];
        return new SubClientRouter(clients, call.Options.SubClientByDepth);
    }

    /// <summary>A request with its options.</summary>
    private sealed record RequestCall(IReadOnlyList<ChatMessage> Messages, ChatOptions? ChatOptions, DeepRecallOptions Options, RlmRequest Request, string RunId, string? ConversationId)
    {
        /// <summary>Whether the wrapped client answers it as it is.</summary>
        public bool IsShort =>
            Options.ShortPromptThreshold is { } threshold
            && !Options.Persistent
            && Options.SearchSource is null
            && Request.ContextIsConversation
            && Request.Tools.Declarations.Count == 0
            && Messages.Sum(message => (long)message.Text.Length) < threshold;

        /// <summary>The caller's own options, without those that are the RLM's.</summary>
        public ChatOptions? InnerOptions
        {
            get
            {
                var copy = ChatOptions?.Clone();
                if (copy is not null)
                {
                    DeepRecallChatOptionsExtensions.RemoveFrom(copy);
                }

                return copy;
            }
        }
    }
}
