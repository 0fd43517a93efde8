using System.Globalization;
using DeepRecall.Budgets;
using DeepRecall.Diagnostics;
using DeepRecall.Request;
using DeepRecall.Sessions;
using DeepRecall.Subcalls;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Loop;

/// <summary>One run: turns of a model and its REPL, from the question to the answer. The root and every child is one.</summary>
internal sealed class RlmLoop
{
    private readonly RunScope _scope;
    private readonly RlmRequest _request;
    private readonly RootModel _model;
    private readonly string _runId;
    private readonly int _depth;
    private readonly string? _conversationId;
    private readonly SubcallDispatcher _subcalls;
    private readonly ReplTenancy _tenancy;
    private readonly Conversation _conversation = new();
    private readonly Compactor _compactor;
    private readonly RunLog _log;
    private readonly CellRunner _cells;
    private int _errors;

    public RlmLoop(RunScope scope, RlmRequest request, IChatClient model, ModelInfo info, string runId, int depth, UsageTally tally, ISessionStore? store = null, string? conversationId = null)
    {
        _scope = scope;
        _request = request;
        _model = new RootModel(scope, model, info, request.ModelOptions, tally, isRoot: depth == 0);
        _runId = runId;
        _depth = depth;
        _conversationId = conversationId;
        _subcalls = new SubcallDispatcher(scope, request, runId, depth, tally);
        _log = new RunLog(scope, request, runId, depth, tally);
        _tenancy = new ReplTenancy(scope, request, _subcalls, store, conversationId);
        _compactor = new Compactor(scope, _model, request.ModelOptions, _conversation);
        _cells = new CellRunner(scope, request.Answer, _log, _subcalls, runId, depth);
    }

    private int MaxTurns => _scope.Options.MaxIterations;

    /// <summary>Runs to the answer, or to the limit that ends the run.</summary>
    /// <param name="work">Cancelled when no more work may be done.</param>
    /// <param name="end">Cancelled when everything must have ended.</param>
    /// <remarks>An exception that ends the run carries its trajectory.</remarks>
    public async Task<RlmOutcome> RunAsync(CancellationToken work, CancellationToken end)
    {
        using var activity = RunActivity.Start(_scope.Options, _request.Question, _runId, _depth, _conversationId);
        Log.RunStarted(_scope.Logger, _runId, _depth, _scope.Sandbox.Name);
        try
        {
            var outcome = await RunToEndAsync(work, end).ConfigureAwait(false);
            activity.End(outcome.Trajectory);
            return outcome;
        }
        catch (Exception error)
        {
            _log.Fail(error, error is OperationCanceledException && end.IsCancellationRequested ? StopReason.Cancelled : StopReason.Failed);
            activity.Fail(error);
            throw;
        }
    }

    private async Task<RlmOutcome> RunToEndAsync(CancellationToken work, CancellationToken end)
    {
        try
        {
            _log.Repl = await _tenancy.EnterAsync(work).ConfigureAwait(false);
            if (_tenancy.Lost is { } lost)
            {
                _log.AddNote(lost);
            }

            _conversation.Begin(
                Prompts.SystemMessage(_scope, _request, _depth, _subcalls.HasChildren),
                Prompts.FirstMessage(_request, _log.Repl, _tenancy, MaxTurns));
            var outcome = await TakeTurnsAsync(work, end).ConfigureAwait(false);
            await _tenancy.KeepAsync(_conversation, outcome.Answer, end).ConfigureAwait(false);
            return outcome;
        }
        catch (Exception error) when (LimitOf(error) is { } limit)
        {
            var outcome = await EndAtLimitAsync(limit, end).ConfigureAwait(false);
            await _tenancy.KeepAsync(_conversation, outcome.Answer, end).ConfigureAwait(false);
            return outcome;
        }
        finally
        {
            await LeaveAsync(end).ConfigureAwait(false);
        }
    }

    /// <summary>Cleans up; what takes longer than the request may, goes on by itself.</summary>
    private async Task LeaveAsync(CancellationToken end)
    {
        var leaving = LeaveAndDrainAsync();
        try
        {
            await leaving.WaitAsync(_scope.Deadline.IsOver ? end : CancellationToken.None).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (_scope.Deadline.IsOver && !leaving.IsCompleted)
        {
            _ = leaving.ContinueWith(static done => done.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        }
    }

    private async Task LeaveAndDrainAsync()
    {
        await _tenancy.LeaveAsync().ConfigureAwait(false);
        await _subcalls.DrainAsync().ConfigureAwait(false);
    }

    private async Task<RlmOutcome> TakeTurnsAsync(CancellationToken work, CancellationToken end)
    {
        for (var turn = 1; turn <= MaxTurns; turn++)
        {
            await CompactIfDueAsync(turn, work).ConfigureAwait(false);
            if (await TakeTurnAsync(turn, turn == MaxTurns, work, end).ConfigureAwait(false) is { } answer)
            {
                return _log.End(answer, StopReason.Answered);
            }

            ThrowIfTooManyErrors();
        }

        return await AskForAnswerAsync(work, end).ConfigureAwait(false);
    }

    private async Task<string?> TakeTurnAsync(int turn, bool isLast, CancellationToken work, CancellationToken end)
    {
        work.ThrowIfCancellationRequested();
        using var activity = TurnActivity.Start(_scope.Options, turn);
        try
        {
            return await AskAndRunAsync(turn, isLast, work, end).ConfigureAwait(false);
        }
        catch (Exception error)
        {
            activity.Fail(error);
            throw;
        }
    }

    private async Task<string?> AskAndRunAsync(int turn, bool isLast, CancellationToken work, CancellationToken end)
    {
        var started = _scope.Time.GetTimestamp();
        Begin(turn);
        var reply = await AskAsync(turn, work).ConfigureAwait(false);
        var plan = ReplyPlan.From(reply.Blocks, _scope.Options.CodeFences, cutOff: reply.FinishReason == ChatFinishReason.Length);

        // Recorded before its cells run, so that a run that ends in one of them still has the turn.
        List<CellRecord> cells = [];
        var record = new TurnRecord
        {
            Number = turn,
            Reply = reply.Text,
            Cells = cells,
            Usage = reply.Usage is null ? null : UsageTally.Copy(reply.Usage),
            FinishReason = reply.FinishReason?.Value,
            ModelDuration = reply.Duration,
            Duration = default,
        };
        _log.Turns.Add(record);

        var feedback = new Feedback();
        var answer = await _cells.RunAsync(plan, cells, feedback, work, end).ConfigureAwait(false)
            ?? await _cells.TakeFinalTextAsync(reply, cells, feedback, work, end).ConfigureAwait(false);
        _errors = cells.Count == 0 || cells.Any(cell => cell.Status != CellStatus.Ok) ? _errors + 1 : 0;
        string? told = null;
        if (answer is null)
        {
            feedback.AddRemarks(reply, plan);
            feedback.Add(isLast ? Prompts.LastTurnMarker(MaxTurns) : Prompts.TurnMarker(turn + 1, MaxTurns));
            told = feedback.ToString().TrimEnd();
            _conversation.AddTurn(string.IsNullOrWhiteSpace(reply.Text) ? "(empty reply)" : reply.Text, told);
        }

        _log.Turns[^1] = record with { Cells = [.. cells], Feedback = told, Duration = _scope.Time.GetElapsedTime(started) };
        return answer;
    }

    private async Task<ModelReply> AskAsync(int turn, CancellationToken work)
    {
        ModelReply reply;
        try
        {
            reply = await _model.AskAsync(_conversation.Messages, work).ConfigureAwait(false);
        }
        catch (Exception error) when (_scope.Options.CompactionThreshold is not null && _conversation.HasTurns && ContextLengthErrors.Is(error))
        {
            if (!await CompactAsync(turn, shorten: true, work).ConfigureAwait(false))
            {
                throw;
            }

            reply = await _model.AskAsync(_conversation.Messages, work).ConfigureAwait(false);
        }

        _compactor.Observe(reply.Usage);
        Log.Reply(_scope.Logger, _runId, turn, reply.Text);
        return reply;
    }

    private async Task CompactIfDueAsync(int turn, CancellationToken work)
    {
        if (_compactor.IsDue)
        {
            await CompactAsync(turn, shorten: false, work).ConfigureAwait(false);
        }
    }

    private async Task<bool> CompactAsync(int turn, bool shorten, CancellationToken work)
    {
        if (await _compactor.CompactAsync(turn, shorten, work).ConfigureAwait(false) is not { } record)
        {
            return false;
        }

        _log.Compactions.Add(record);
        _scope.Sink.WriteEvent(new CompactedEvent(_runId, _depth, record));
        await _tenancy.ShowHistoryAsync(_conversation.Summarised, work).ConfigureAwait(false);
        return true;
    }

    /// <summary>After the last turn: one more reply, which is the answer, or code that gives it, or as a last resort what is there.</summary>
    private async Task<RlmOutcome> AskForAnswerAsync(CancellationToken work, CancellationToken end)
    {
        for (var turn = MaxTurns + 1; ; turn++)
        {
            await CompactIfDueAsync(turn, work).ConfigureAwait(false);
            var repairs = _cells.Repairs;
            if (await TakeTurnAsync(turn, isLast: true, work, end).ConfigureAwait(false) is { } answer)
            {
                return _log.End(answer, StopReason.MaxIterations, Prompts.TurnsAreUsed(MaxTurns));
            }

            var last = _log.Turns[^1];
            var found = last.Cells.Count == 0 ? NotBlank(ReplyScanner.SpokenOf(last.Reply)) ?? _log.Partial : _log.Partial ?? NotBlank(ReplyScanner.SpokenOf(last.Reply));
            var feedback = new Feedback();
            if (found is not null && _cells.Repairs == repairs && _cells.Take(found, feedback) is { } accepted)
            {
                _log.Turns[^1] = last with { Feedback = null };
                return _log.End(accepted, StopReason.MaxIterations, Prompts.TurnsAreUsed(MaxTurns));
            }

            if (found is null || _cells.RepairsAreUsed)
            {
                _log.Turns[^1] = last with { Feedback = null };
                var none = $"No answer was found within {MaxTurns} turns.";
                return _log.End(found ?? none, found is null ? StopReason.MaxIterations : StopReason.MaxAnswerRepairs, Prompts.TurnsAreUsed(MaxTurns), hasAnswer: found is not null);
            }

            if (_cells.Repairs > repairs && feedback.ToString() is { Length: > 0 } remark)
            {
                _conversation.AddRemark(remark);
            }
        }
    }

    /// <summary>A limit ended the run: what there is of an answer, else what the model can still say, else a statement.</summary>
    private async Task<RlmOutcome> EndAtLimitAsync(LimitException limit, CancellationToken end)
    {
        Log.LimitHit(_scope.Logger, _runId, limit.Reason, _log.Turns.Count);
        if (_log.Partial is null && _depth == 0 && limit.Reason != StopReason.MaxAnswerRepairs)
        {
            _log.SetPartial(await ClosingQuestion.AskAsync(_scope, _model, _request, _log.Turns, end).ConfigureAwait(false));
        }

        return _log.Partial is { } partial
            ? _log.End(partial, limit.Reason, limit.Message)
            : _log.End($"No answer was found before the run was ended: {limit.Message}.", limit.Reason, limit.Message, hasAnswer: false);
    }

    private LimitException? LimitOf(Exception error) => error switch
    {
        LimitException limit => limit,
        _ when _scope.Deadline.IsOver => new LimitException(
            StopReason.MaxDuration,
            string.Create(CultureInfo.InvariantCulture, $"the time for the request ({nameof(DeepRecallOptions.MaxDuration)}, {_scope.Options.MaxDuration?.TotalSeconds:0.###} seconds) is over")),
        _ => null,
    };

    private void ThrowIfTooManyErrors()
    {
        if (_errors >= _scope.Options.MaxConsecutiveErrors)
        {
            throw new LimitException(StopReason.MaxConsecutiveErrors, $"{_errors} turns in a row failed ({nameof(DeepRecallOptions.MaxConsecutiveErrors)})");
        }

        if (_cells.RepairsAreUsed)
        {
            throw new LimitException(StopReason.MaxAnswerRepairs, $"the answer was still not what it must be after {_scope.Options.MaxAnswerRepairs} repairs ({nameof(DeepRecallOptions.MaxAnswerRepairs)})");
        }
    }

    private void Begin(int turn)
    {
        if (_depth == 0 && _scope.Sink is RunSink sink)
        {
            sink.BeginMessage($"{_runId}-{turn}");
        }

        _scope.Sink.WriteEvent(new TurnStartedEvent(_runId, _depth, turn, MaxTurns));
    }

    private static string? NotBlank(string? text) => string.IsNullOrWhiteSpace(text) ? null : text;
}
