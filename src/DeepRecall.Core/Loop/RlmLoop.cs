using DeepRecall.Budgets;
using DeepRecall.Diagnostics;
using DeepRecall.Repl;
using DeepRecall.Request;
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
    private readonly UsageTally _tally;
    private readonly SubcallDispatcher _subcalls;
    private readonly List<ChatMessage> _messages = [];
    private readonly List<TurnRecord> _turns = [];
    private readonly long _started;
    private ReplSession? _repl;
    private int _cells;
    private string? _partial;

    public RlmLoop(RunScope scope, RlmRequest request, IChatClient model, string runId, int depth, UsageTally tally)
    {
        _scope = scope;
        _request = request;
        _model = new RootModel(scope, model, request.ModelOptions, isRoot: depth == 0);
        _runId = runId;
        _depth = depth;
        _tally = tally;
        _subcalls = new SubcallDispatcher(scope, request, runId, depth, tally);
        _started = scope.Time.GetTimestamp();
    }

    private int MaxTurns => _scope.Options.MaxIterations;

    /// <summary>Runs to the answer.</summary>
    /// <remarks>An exception that ends the run carries its trajectory.</remarks>
    public async Task<RlmOutcome> RunAsync(CancellationToken cancellationToken)
    {
        Log.RunStarted(_scope.Logger, _runId, _depth, _scope.Sandbox.Name);
        try
        {
            _repl = await StartReplAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                _messages.Add(Prompts.SystemMessage(_scope, _request, _depth, _subcalls.HasChildren));
                _messages.Add(Prompts.FirstMessage(_request, _repl.Contexts, MaxTurns));
                return await TakeTurnsAsync(cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                await _repl.DisposeAsync().ConfigureAwait(false);
                await _subcalls.DrainAsync().ConfigureAwait(false);
            }
        }
        catch (Exception error)
        {
            var reason = error is OperationCanceledException && cancellationToken.IsCancellationRequested ? StopReason.Cancelled : StopReason.Failed;
            var trajectory = ToTrajectory(null, reason);
            Log.RunEnded(_scope.Logger, _runId, _turns.Count, trajectory.Duration.TotalMilliseconds, reason);
            error.Data[TrajectoryExtensions.Key] = trajectory;
            throw;
        }
    }

    private Task<ReplSession> StartReplAsync(CancellationToken cancellationToken)
    {
        var options = _scope.Options;
        var settings = new ReplSettings
        {
            OutputLimit = options.MaxOutputChars,
            AnswerJson = _request.AnswerJson,
            CellTimeout = options.CellTimeout,
            InterruptGrace = options.InterruptGracePeriod,
            StartTimeout = options.SandboxStartTimeout,
            Functions = SubcallDispatcher.Functions,
            Tools = _request.Tools.Declarations,
        };
        return ReplSession.StartAsync(
            _scope.Sandbox, settings, _request.Contexts, _request.HistoryJson, _subcalls.CallAsync, _scope.Time, _scope.Logger, cancellationToken);
    }

    private async Task<RlmOutcome> TakeTurnsAsync(CancellationToken cancellationToken)
    {
        for (var turn = 1; turn <= MaxTurns; turn++)
        {
            var isLast = turn == MaxTurns;
            if (await TakeTurnAsync(turn, isLast, cancellationToken).ConfigureAwait(false) is { } answer)
            {
                return End(answer, StopReason.Answered);
            }
        }

        return End(await AskForAnswerAsync(cancellationToken).ConfigureAwait(false), StopReason.MaxIterations);
    }

    private async Task<string?> TakeTurnAsync(int turn, bool isLast, CancellationToken cancellationToken)
    {
        var started = _scope.Time.GetTimestamp();
        Begin(turn);
        var reply = await AskAsync(turn, cancellationToken).ConfigureAwait(false);
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
        _turns.Add(record);

        var feedback = new Feedback();
        var answer = await RunCellsAsync(plan, cells, feedback, cancellationToken).ConfigureAwait(false)
            ?? await TakeFinalTextAsync(reply, cells, feedback, cancellationToken).ConfigureAwait(false);
        string? told = null;
        if (answer is null)
        {
            AddRemarks(reply, plan, feedback);
            feedback.Add(isLast
                ? $"All {MaxTurns} turns are used. Reply now with your best final answer, as plain text without code."
                : Prompts.TurnMarker(turn + 1, MaxTurns));
            told = feedback.ToString().TrimEnd();
            _messages.Add(new ChatMessage(ChatRole.Assistant, string.IsNullOrWhiteSpace(reply.Text) ? "(empty reply)" : reply.Text));
            _messages.Add(new ChatMessage(ChatRole.User, told));
        }

        _turns[^1] = record with { Cells = [.. cells], Feedback = told, Duration = _scope.Time.GetElapsedTime(started) };
        return answer;
    }

    /// <summary>After the last turn: one more reply, which is the answer, or code that gives it, or as a last resort what is there.</summary>
    private async Task<string> AskForAnswerAsync(CancellationToken cancellationToken)
    {
        var answer = await TakeTurnAsync(MaxTurns + 1, isLast: true, cancellationToken).ConfigureAwait(false);
        if (answer is not null)
        {
            return answer;
        }

        var last = _turns[^1];
        _turns[^1] = last with { Feedback = null };
        var scanner = new ReplyScanner();
        scanner.Append(last.Reply);
        scanner.Complete();
        var prose = NotBlank(scanner.Spoken.Trim());
        return (last.Cells.Count == 0 ? prose ?? _partial : _partial ?? prose) ?? $"No answer was found within {MaxTurns} turns.";
    }

    private async Task<ModelReply> AskAsync(int turn, CancellationToken cancellationToken)
    {
        var reply = await _model.AskAsync(_messages, cancellationToken).ConfigureAwait(false);
        _tally.Add(reply.Usage);
        Log.Reply(_scope.Logger, _runId, turn, reply.Text);
        return reply;
    }

    private async Task<string?> RunCellsAsync(ReplyPlan plan, List<CellRecord> cells, Feedback feedback, CancellationToken cancellationToken)
    {
        for (var index = 0; index < plan.Cells.Count; index++)
        {
            var (record, result) = await RunCellAsync(plan.Cells[index], cells, cancellationToken).ConfigureAwait(false);
            if (result.Ready)
            {
                return result.Content ?? string.Empty;
            }

            feedback.AddCell(record, result.Note, index + 1, plan.Cells.Count);
            if (result.Status != CellStatus.Ok)
            {
                if (index + 1 < plan.Cells.Count)
                {
                    feedback.AddSkipped(index + 1, plan.Cells.Count, result.Status);
                }

                break;
            }
        }

        return null;
    }

    private async Task<string?> TakeFinalTextAsync(ModelReply reply, List<CellRecord> cells, Feedback feedback, CancellationToken cancellationToken)
    {
        if (!_scope.Options.AcceptFinalText || FinalText.TryFind(reply.Spoken) is not { } final)
        {
            return null;
        }

        if (cells.Any(cell => cell.Status != CellStatus.Ok))
        {
            feedback.Add("Your final answer was not taken, because a block of the same reply failed.");
            return null;
        }

        if (!final.IsVariable)
        {
            return final.Value;
        }

        var (record, result) = await RunCellAsync($"FINAL_VAR(\"{final.Value}\")", cells, cancellationToken).ConfigureAwait(false);
        if (result.Ready)
        {
            return result.Content ?? string.Empty;
        }

        feedback.AddCell(record, result.Note, 1, 1);
        return null;
    }

    private async Task<(CellRecord Record, CellResult Result)> RunCellAsync(string code, List<CellRecord> cells, CancellationToken cancellationToken)
    {
        var number = ++_cells;
        _scope.Sink.WriteEvent(new CellStartedEvent(_runId, _depth, number, code));
        var result = await _repl!.ExecuteAsync(
            code,
            text => _scope.Sink.WriteEvent(new CellOutputEvent(_runId, _depth, number, text)),
            cancellationToken).ConfigureAwait(false);
        await _subcalls.DrainAsync().ConfigureAwait(false);
        _partial = NotBlank(result.Content) ?? _partial;
        var record = new CellRecord
        {
            Number = number,
            Code = code,
            Status = result.Status,
            Output = result.Output,
            DroppedCharacters = result.Dropped,
            Error = result.Error,
            ErrorType = result.ErrorType,
            Variables = result.Variables,
            Subcalls = _subcalls.TakeRecords(),
            Duration = result.Duration,
            WaitDuration = result.Waited,
        };
        cells.Add(record);
        Log.CellEnded(_scope.Logger, _runId, number, result.Status, result.Output);
        _scope.Sink.WriteEvent(new CellCompletedEvent(_runId, _depth, record));
        return (record, result);
    }

    private static void AddRemarks(ModelReply reply, ReplyPlan plan, Feedback feedback)
    {
        if (string.IsNullOrWhiteSpace(reply.Text))
        {
            feedback.Add("Your reply was empty. Write code in a fence tagged `repl`.");
        }
        else if (plan.Cells.Count == 0)
        {
            feedback.Add(
                "Nothing was run: your reply has no code in a fence tagged `repl`. Write code in such a fence; "
                + "if the text of your reply is the answer, give it with `answer[\"content\"] = ...` and `answer[\"ready\"] = True` in one.");
        }

        foreach (var remark in plan.Remarks)
        {
            feedback.Add(remark);
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

    private RlmOutcome End(string answer, StopReason reason)
    {
        var trajectory = ToTrajectory(answer, reason);
        Log.RunEnded(_scope.Logger, _runId, _turns.Count, trajectory.Duration.TotalMilliseconds, reason);
        _scope.Sink.WriteEvent(new AnswerEvent(_runId, _depth, answer, reason));
        return new RlmOutcome(answer, reason, trajectory);
    }

    private RlmTrajectory ToTrajectory(string? answer, StopReason reason) => new()
    {
        RunId = _runId,
        Depth = _depth,
        Question = Excerpt.Head(_request.Question),
        Environment = _scope.Sandbox.Name,
        Isolation = _repl?.Isolation,
        Contexts = [.. _repl?.Contexts ?? []],
        Turns = [.. _turns],
        Answer = answer,
        PartialAnswer = answer is null ? _partial : null,
        StopReason = reason,
        Usage = _tally.Snapshot(),
        ModelCalls = _tally.Calls,
        Duration = _scope.Time.GetElapsedTime(_started),
        Notes = [.. _repl?.Notes ?? []],
    };

    private static string? NotBlank(string? text) => string.IsNullOrWhiteSpace(text) ? null : text;
}

/// <summary>How a run ended.</summary>
internal sealed record RlmOutcome(string Answer, StopReason StopReason, RlmTrajectory Trajectory);
