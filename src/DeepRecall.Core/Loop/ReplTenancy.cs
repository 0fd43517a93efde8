using DeepRecall.Diagnostics;
using DeepRecall.Repl;
using DeepRecall.Request;
using DeepRecall.Sandboxing;
using DeepRecall.Sessions;
using DeepRecall.Subcalls;
using Microsoft.Extensions.AI;

namespace DeepRecall.Loop;

/// <summary>A run's stay in a REPL: one of its own, which ends with it, or that of a conversation, which lives on.</summary>
internal sealed class ReplTenancy(RunScope scope, RlmRequest request, SubcallDispatcher subcalls, ISessionStore? store, string? conversationId)
{
    private ISessionLease? _lease;
    private ReplSession? _repl;
    private string? _historyJson = request.HistoryJson;
    private int _contextsBefore;
    private bool _onlyQuestion;

    /// <summary>How many requests of the conversation were answered in this REPL before.</summary>
    public int EarlierRequests { get; private set; }

    /// <summary>What was lost of the conversation, and why; <see langword="null"/> when nothing was.</summary>
    public string? Lost { get; private set; }

    /// <summary>How many earlier messages <c>history</c> has.</summary>
    public int HistoryCount { get; private set; } = request.HistoryCount;

    /// <summary>Where the whole question is, when it is too long to be shown whole.</summary>
    public string? QuestionVariable =>
        request.QuestionIndex is not { } index ? null
        : _onlyQuestion ? $"context_{_contextsBefore}"
        : index == 0 ? "context" : $"context_{_contextsBefore + index}";

    public async Task<ReplSession> EnterAsync(CancellationToken cancellationToken)
    {
        if (store is not null)
        {
            _lease = await store.AcquireAsync(conversationId!, cancellationToken).ConfigureAwait(false);
        }

        if (_lease?.Session is { } session)
        {
            await ReturnToAsync(session, cancellationToken).ConfigureAwait(false);
            return _repl!;
        }

        _repl = await ReplSession.StartAsync(
            scope.Sandbox, Settings(), request.Contexts, request.HistoryJson, subcalls.CallAsync, scope.Time, scope.Logger, cancellationToken).ConfigureAwait(false);
        if (_lease is not null)
        {
            _lease.Session = new ConversationSession(conversationId!, _repl);
            Lost = _lease.Lost is { } reason ? $"The REPL of this conversation's earlier requests is gone ({reason}): their contexts, variables and history are lost." : null;
        }

        return _repl;
    }

    /// <summary>Keeps what was asked and answered for the conversation's next request.</summary>
    public async Task KeepAsync(Conversation conversation, string answer, CancellationToken cancellationToken)
    {
        if (_lease?.Session is not { } session || _repl is null)
        {
            return;
        }

        var variable = $"history_{session.Requests}";
        session.Exchanges.Add(new Exchange(request.Question, answer));
        try
        {
            await _repl.SetVariableAsync(variable, RequestMapper.ToJson([.. conversation.All, new ChatMessage(ChatRole.Assistant, answer)]), cancellationToken).ConfigureAwait(false);
        }
        catch (Exception error)
        {
            // The answer is there, whatever became of this; it is kept on this side, and a fresh worker is given it.
            Log.HistoryNotShown(scope.Logger, error.GetType().Name);
        }
    }

    /// <summary>Puts messages that the model is not sent any more behind those that <c>history</c> has.</summary>
    public async Task ShowHistoryAsync(IReadOnlyList<ChatMessage> messages, CancellationToken cancellationToken)
    {
        var json = RequestMapper.ToJson(messages);
        try
        {
            await _repl!.SetVariableAsync("history", _historyJson is null ? json : $"{_historyJson[..^1]},{json[1..]}", cancellationToken).ConfigureAwait(false);
        }
        catch (Exception error) when (error is WorkerGoneException or InvalidDataException or SandboxException or IOException)
        {
            // A worker that is gone is noticed, and replaced, by the next cell; the run can go on without the full text.
            Log.HistoryNotShown(scope.Logger, error.GetType().Name);
        }
    }

    public async ValueTask LeaveAsync()
    {
        if (_lease is null)
        {
            await DisposeAsync(_repl).ConfigureAwait(false);
            return;
        }

        try
        {
            if (_repl is not null)
            {
                await _repl.LeaveAsync().ConfigureAwait(false);
            }
        }
        finally
        {
            await _lease.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static ValueTask DisposeAsync(ReplSession? repl) => repl?.DisposeAsync() ?? ValueTask.CompletedTask;

    private async Task ReturnToAsync(ConversationSession session, CancellationToken cancellationToken)
    {
        _repl = session.Repl;
        EarlierRequests = session.Requests;
        _contextsBefore = _repl.ContextCount;

        // The caller sent the question alone: it is about what is there already.
        _onlyQuestion = request.ContextIsConversation && _contextsBefore > 0;
        IReadOnlyList<ContextSource> contexts = !_onlyQuestion ? request.Contexts
            : request.QuestionIndex is null ? [] : [RequestMapper.ToContext(request.Question)];
        var end = await _repl.BeginAsync(Settings(), contexts, makeCurrent: !_onlyQuestion, subcalls.CallAsync, cancellationToken).ConfigureAwait(false);
        Lost = end is null ? null : $"The conversation's REPL was lost ({end}): the variables of earlier requests are gone; their contexts and history were loaded again.";
        if (_historyJson is null && session.Exchanges.Count > 0)
        {
            ChatMessage[] earlier = [.. session.Exchanges.SelectMany(exchange => new ChatMessage[] { new(ChatRole.User, exchange.Question), new(ChatRole.Assistant, exchange.Answer) })];
            _historyJson = RequestMapper.ToJson(earlier);
            HistoryCount = earlier.Length;
        }

        try
        {
            await _repl.SetVariableAsync("history", _historyJson ?? "[]", cancellationToken).ConfigureAwait(false);
        }
        catch (SandboxException error)
        {
            // The next cell finds a fresh one.
            Lost = $"The conversation's REPL was lost ({error.Message}): the variables of earlier requests are gone; their contexts and history were loaded again.";
        }
    }

    private ReplSettings Settings()
    {
        var options = scope.Options;
        return new ReplSettings
        {
            OutputLimit = options.MaxOutputChars,
            AnswerJson = request.Answer.IsJson,
            CellTimeout = options.CellTimeout,
            InterruptGrace = options.InterruptGracePeriod,
            StopGrace = scope.Deadline.Closing / 2,
            StartTimeout = options.SandboxStartTimeout,
            Functions = subcalls.Functions,
            Tools = request.Tools.Declarations,
        };
    }
}
