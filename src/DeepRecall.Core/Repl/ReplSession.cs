using System.Runtime.CompilerServices;
using System.Text.Json;
using DeepRecall.Diagnostics;
using DeepRecall.Request;
using DeepRecall.Sandboxing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.Logging;

namespace DeepRecall.Repl;

/// <summary>A live REPL: its variables stay from cell to cell, and a worker that dies is replaced by a fresh one.</summary>
internal sealed class ReplSession : IAsyncDisposable
{
    // The sandboxes whose missing isolation was logged: once for each, not for each start.
    private static readonly ConditionalWeakTable<ISandbox, ISandbox> Warned = [];

    private readonly ISandbox _sandbox;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ReplState _state;
    private ReplSettings _settings;
    private Func<CallParams, CancellationToken, Task<HostReply>> _callHost;
    private CellClock _clock;
    private ReplWorker? _worker;
    private bool _reopen;
    private bool _inCell;
    private volatile bool _disposed;
    private int _cells;

    private ReplSession(
        ISandbox sandbox,
        ReplSettings settings,
        Func<CallParams, CancellationToken, Task<HostReply>> callHost,
        TimeProvider time,
        ILogger logger)
    {
        _sandbox = sandbox;
        _settings = settings;
        _callHost = callHost;
        _time = time;
        _logger = logger;
        _state = new ReplState(time);
        _clock = new CellClock(time, settings.CellTimeout);
    }

    /// <summary>The contexts as the REPL has them.</summary>
    public IReadOnlyList<ContextRecord> Contexts => _state.Records;

    /// <summary>How many contexts there are, those of earlier requests included.</summary>
    public int ContextCount => _state.Count;

    /// <summary>The variable that is <c>context</c> too.</summary>
    public string CurrentContext => $"context_{_state.Current}";

    /// <summary>What isolates the REPL; <see langword="null"/> when its environment does not tell.</summary>
    public SandboxIsolation? Isolation { get; private set; }

    /// <summary>What was found while loading them.</summary>
    public IReadOnlyList<string> Notes => _state.Notes;

    /// <summary>Starts a REPL and loads its contexts.</summary>
    /// <exception cref="SandboxException">The sandbox could not be started.</exception>
    /// <exception cref="InvalidDataException">A context is not what it was said to be.</exception>
    public static async Task<ReplSession> StartAsync(
        ISandbox sandbox,
        ReplSettings settings,
        IReadOnlyList<ContextSource> contexts,
        string? historyJson,
        Func<CallParams, CancellationToken, Task<HostReply>> callHost,
        TimeProvider time,
        ILogger logger,
        CancellationToken cancellationToken)
    {
        var session = new ReplSession(sandbox, settings, callHost, time, logger);
        try
        {
            session._state.Add(contexts, makeCurrent: true);
            if (historyJson is not null)
            {
                await session.SetVariableAsync("history", historyJson, cancellationToken).ConfigureAwait(false);
            }

            await session.StartWorkerAsync(cancellationToken).ConfigureAwait(false);
            return session;
        }
        catch
        {
            await session.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Begins a later request in the same REPL: with its own settings and functions, further contexts, and an answer that is not given yet.</summary>
    /// <returns>How the worker ended, when it ended since the last request; its variables are lost then. Otherwise <see langword="null"/>.</returns>
    /// <exception cref="SandboxException">The REPL was gone, and no fresh one could be started.</exception>
    /// <exception cref="InvalidDataException">A context is not what it was said to be.</exception>
    public async Task<string?> BeginAsync(
        ReplSettings settings,
        IReadOnlyList<ContextSource> contexts,
        bool makeCurrent,
        Func<CallParams, CancellationToken, Task<HostReply>> callHost,
        CancellationToken cancellationToken)
    {
        _settings = settings;
        _callHost = callHost;
        _clock.Dispose();
        _clock = new CellClock(_time, settings.CellTimeout);
        _reopen = false;
        _state.Add(contexts, makeCurrent);
        var end = _worker is null ? "its last cell was ended with its request" : null;
        if (_worker is { } worker)
        {
            end = await TryBeginAsync(worker, cancellationToken).ConfigureAwait(false);
            if (end is null)
            {
                return null;
            }

            Log.ReplDied(_logger, _sandbox.Name, end);
            await EndWorkerAsync().ConfigureAwait(false);
        }

        try
        {
            await StartWorkerAsync(cancellationToken).ConfigureAwait(false);
            return end;
        }
        catch
        {
            _state.DropUnloaded();
            throw;
        }
    }

    /// <summary>Sets a variable from JSON, also in a worker that replaces this one.</summary>
    /// <exception cref="SandboxException">The worker did not answer, and was ended; the next cell starts a fresh one.</exception>
    public async Task SetVariableAsync(string name, string json, CancellationToken cancellationToken)
    {
        var worker = _worker;
        try
        {
            await _state.SetAsync(worker, name, json, _settings.StartTimeout, cancellationToken).ConfigureAwait(false);
            if (worker is not null)
            {
                await worker.SealAsync(cancellationToken).ConfigureAwait(false);
            }
        }
        catch (TimeoutException error)
        {
            // Code that ran in it keeps it from answering.
            await EndWorkerAsync().ConfigureAwait(false);
            throw new SandboxException($"The REPL did not take '{name}' within {_settings.StartTimeout.TotalSeconds:0.###} seconds, and was ended.", error) { Kind = SandboxErrorKind.Timeout };
        }
    }

    /// <summary>The answer was not taken: it is not ready any more when the next cell begins.</summary>
    public void ReopenAnswer() => _reopen = true;

    /// <summary>Ends the request in which the REPL was: a cell that still runs is ended, and the REPL with it.</summary>
    public async ValueTask LeaveAsync()
    {
        if (_inCell)
        {
            _inCell = false;
            await EndWorkerAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Runs a cell. Whatever the cell does is a result; only the host's own trouble is an exception.</summary>
    /// <param name="code">The code.</param>
    /// <param name="onOutput">Told what a cell prints while it still runs; called on any thread.</param>
    /// <param name="cancellationToken">Ends the wait; the session must then be left or disposed, which ends the cell.</param>
    /// <exception cref="SandboxException">The REPL died and no fresh one could be started.</exception>
    public Task<CellResult> ExecuteAsync(string code, Action<string>? onOutput, CancellationToken cancellationToken) =>
        ExecuteAsync(code, onOutput, CancellationToken.None, cancellationToken);

    /// <inheritdoc cref="ExecuteAsync(string, Action{string}?, CancellationToken)" />
    /// <param name="code">The code.</param>
    /// <param name="onOutput">Told what a cell prints while it still runs; called on any thread.</param>
    /// <param name="stop">Interrupts the cell, whose variables and answer are kept.</param>
    /// <param name="cancellationToken">Ends the wait; the session must then be left or disposed, which ends the cell.</param>
    public async Task<CellResult> ExecuteAsync(string code, Action<string>? onOutput, CancellationToken stop, CancellationToken cancellationToken)
    {
        if (_worker is null)
        {
            await StartWorkerAsync(cancellationToken).ConfigureAwait(false);
        }

        var worker = _worker!;
        using var cell = new RunningCell(++_cells, _settings, _clock, onOutput, stop, cancellationToken);
        _inCell = true;
        var execution = worker.ExecuteAsync(cell, code, _reopen);
        _reopen = false;
        var overTime = false;
        try
        {
            ExecuteResult result;
            try
            {
                result = await execution.WaitAsync(cell.Expired).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                overTime = true;
                var grace = stop.IsCancellationRequested && _settings.StopGrace < _settings.InterruptGrace ? _settings.StopGrace : _settings.InterruptGrace;
                result = await InterruptAsync(worker, cell, execution, grace, cancellationToken).ConfigureAwait(false);
            }

            _inCell = false;
            return ToResult(result, cell, overTime, stop.IsCancellationRequested);
        }
        catch (WorkerGoneException)
        {
            var end = overTime
                ? $"the cell did not stop when it was interrupted after {(stop.IsCancellationRequested ? "the request's time" : $"its {_settings.CellTimeout.TotalSeconds:0.###} seconds")}, and was killed"
                : await worker.DescribeEndAsync(cancellationToken).ConfigureAwait(false);
            return await ReplaceAsync(cell, end, stop, cancellationToken).ConfigureAwait(false);
        }
        catch (WorkerErrorException error)
        {
            // No cell does that: the worker itself failed, or code in the cell reached into it.
            await worker.KillAsync(cancellationToken).ConfigureAwait(false);
            return await ReplaceAsync(cell, $"its worker failed ({error.Message})", stop, cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            Forget(execution);
            cancellationToken.ThrowIfCancellationRequested(); // with the caller's own token
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        _disposed = true;
        _clock.Dispose();
        await EndWorkerAsync().ConfigureAwait(false);
    }

    private static void Forget(Task task) =>
        _ = task.ContinueWith(static done => done.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);

    /// <summary>Begins a request in a worker that lives on; otherwise says how it ended.</summary>
    private async Task<string?> TryBeginAsync(ReplWorker worker, CancellationToken cancellationToken)
    {
        try
        {
            await SetUpAsync(worker, "begin", cancellationToken).WaitAsync(_settings.StartTimeout, _time, cancellationToken).ConfigureAwait(false);
            await _state.LoadAsync(worker, _settings.StartTimeout, cancellationToken).ConfigureAwait(false);
            await worker.SealAsync(cancellationToken).ConfigureAwait(false);
            return null;
        }
        catch (TimeoutException)
        {
            return $"it did not answer within {_settings.StartTimeout.TotalSeconds:0.###} seconds";
        }
        catch (WorkerErrorException error)
        {
            return $"its worker failed ({error.Message})";
        }
        catch (WorkerGoneException)
        {
            return await worker.DescribeEndAsync(cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            _state.DropUnloaded();
            throw;
        }
    }

    private async ValueTask EndWorkerAsync()
    {
        if (Interlocked.Exchange(ref _worker, null) is { } worker)
        {
            await worker.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async Task<ExecuteResult> InterruptAsync(ReplWorker worker, RunningCell cell, Task<ExecuteResult> execution, TimeSpan grace, CancellationToken cancellationToken)
    {
        // The answers to the cell's calls come first, so that a cell that waits for one is free to be interrupted.
        cell.CancelCalls();
        await worker.InterruptAsync(_settings.InterruptLimit, cancellationToken).ConfigureAwait(false);
        try
        {
            return await execution.WaitAsync(grace, _time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            await worker.KillAsync(cancellationToken).ConfigureAwait(false);
            return await execution.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<CellResult> ReplaceAsync(RunningCell cell, string end, CancellationToken stop, CancellationToken cancellationToken)
    {
        Log.ReplDied(_logger, _sandbox.Name, end);
        var (elapsed, waited) = cell.Clock.Stop();
        _inCell = false;
        await EndWorkerAsync().ConfigureAwait(false);
        var error = $"The REPL died: {end}; its variables are lost";
        var goesOn = !stop.IsCancellationRequested;
        if (goesOn)
        {
            using var startup = CancellationTokenSource.CreateLinkedTokenSource(stop, cancellationToken);
            try
            {
                await StartWorkerAsync(startup.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                goesOn = false; // the time that is left is for an answer
            }
            catch (SandboxException failure)
            {
                throw new SandboxException($"{error}, and no fresh one could be started. {failure.Message}", failure) { Kind = failure.Kind };
            }
        }

        return new CellResult
        {
            Status = CellStatus.Died,
            Output = cell.Output,
            Error = goesOn ? $"{error}. A fresh REPL was started, with the context loaded again." : $"{error}.",
            Duration = elapsed,
            Waited = waited,
        };
    }

    private CellResult ToResult(ExecuteResult result, RunningCell cell, bool overTime, bool stopped)
    {
        var (status, error) = result.Status switch
        {
            "ok" => (CellStatus.Ok, null),
            "interrupted" when stopped => (CellStatus.Interrupted, "Interrupted: the request's time is over. Its variables are kept."),
            "interrupted" when overTime => (CellStatus.Interrupted, $"Interrupted: the cell ran over its {_settings.CellTimeout.TotalSeconds:0.###} seconds of computing time. Its variables are kept."),
            "interrupted" => (CellStatus.Interrupted, "KeyboardInterrupt"),
            _ => (CellStatus.Error, result.Error?.Text ?? "the cell failed"),
        };
        var (elapsed, waited) = cell.Clock.Stop();
        return new CellResult
        {
            Status = status,
            Output = result.Output ?? string.Empty,
            Dropped = result.Dropped,
            ErrorType = result.Error?.Type,
            Error = error,
            Variables = result.Variables ?? [],
            Duration = elapsed,
            Waited = waited,
            Ready = result.Ready,
            Content = result.Content,
            Note = result.Note,
        };
    }

    private async Task StartWorkerAsync(CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(_settings.StartTimeout, _time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        ReplWorker? worker = null;
        var started = _time.GetTimestamp();
        try
        {
            worker = await ReplWorker.StartAsync(_sandbox, (call, token) => _callHost(call, token), linked.Token).ConfigureAwait(false);
            await SetUpAsync(worker, "initialize", linked.Token).ConfigureAwait(false);
            var duration = _time.GetElapsedTime(started);
            Log.ReplStarted(_logger, _sandbox.Name, duration.TotalMilliseconds);
            Telemetry.SandboxStarted(_sandbox.Name, duration, isError: false);
            NoteIsolation(worker.Isolation);
        }
        catch (Exception error)
        {
            Telemetry.SandboxStarted(_sandbox.Name, _time.GetElapsedTime(started), isError: true);
            if (worker is not null)
            {
                await worker.DisposeAsync().ConfigureAwait(false);
            }

            if (error is OperationCanceledException && timeout.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
            {
                throw new SandboxException($"The sandbox '{_sandbox.Name}' did not start within {_settings.StartTimeout.TotalSeconds:0.###} seconds ({nameof(DeepRecallOptions.SandboxStartTimeout)}).", error) { Kind = SandboxErrorKind.Timeout };
            }

            if (error is WorkerGoneException or WorkerErrorException)
            {
                throw new SandboxException($"The worker in the sandbox '{_sandbox.Name}' failed while it was set up: {error.Message}", error);
            }

            throw;
        }

        _worker = worker;
        if (_disposed)
        {
            // Disposed while a cell ran: its worker's death is no reason for another one, which nobody would end.
            await EndWorkerAsync().ConfigureAwait(false);
            throw new ObjectDisposedException(nameof(ReplSession));
        }

        try
        {
            _state.Reset();
            await _state.LoadAsync(worker, Timeout.InfiniteTimeSpan, cancellationToken).ConfigureAwait(false);
            await worker.SealAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception error)
        {
            await EndWorkerAsync().ConfigureAwait(false);
            if (error is WorkerGoneException)
            {
                throw new SandboxException($"The REPL died while its context was loaded: {await worker.DescribeEndAsync(cancellationToken).ConfigureAwait(false)}.", error);
            }

            throw;
        }
    }

    private void NoteIsolation(SandboxIsolation? isolation)
    {
        Isolation = isolation;
        if (isolation is { IsComplete: false } && Warned.TryAdd(_sandbox, _sandbox))
        {
            Log.IsolationIncomplete(_logger, _sandbox.Name, isolation);
        }
    }

    private Task<JsonElement> SetUpAsync(ReplWorker worker, string method, CancellationToken cancellationToken) =>
        worker.RequestAsync(
            method,
            new InitializeParams(_settings.OutputLimit, ReplSettings.MaxMessageBytes, _settings.AnswerJson, _settings.Functions, _settings.Tools),
            ProtocolJson.Default.InitializeParams,
            ProtocolJson.Default.JsonElement,
            cancellationToken);
}
