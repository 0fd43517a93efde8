using System.Text;
using DeepRecall.Diagnostics;
using DeepRecall.Request;
using DeepRecall.Sandboxing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.Logging;

namespace DeepRecall.Repl;

/// <summary>A live REPL: its variables stay from cell to cell, and a worker that dies is replaced by a fresh one.</summary>
internal sealed class ReplSession : IAsyncDisposable
{
    private readonly ISandbox _sandbox;
    private readonly ReplSettings _settings;
    private readonly IReadOnlyList<ContextSource> _contexts;
    private readonly string? _historyJson;
    private readonly Func<CallParams, CancellationToken, Task<HostReply>> _callHost;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CellClock _clock;
    private readonly List<ContextRecord> _contextRecords = [];
    private readonly List<string> _notes = [];
    private ReplWorker? _worker;
    private int _cells;

    private ReplSession(
        ISandbox sandbox,
        ReplSettings settings,
        IReadOnlyList<ContextSource> contexts,
        string? historyJson,
        Func<CallParams, CancellationToken, Task<HostReply>> callHost,
        TimeProvider time,
        ILogger logger)
    {
        _sandbox = sandbox;
        _settings = settings;
        _contexts = contexts;
        _historyJson = historyJson;
        _callHost = callHost;
        _time = time;
        _logger = logger;
        _clock = new CellClock(time, settings.CellTimeout);
    }

    /// <summary>The contexts as the REPL has them.</summary>
    public IReadOnlyList<ContextRecord> Contexts => _contextRecords;

    /// <summary>What was found while loading them.</summary>
    public IReadOnlyList<string> Notes => _notes;

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
        var session = new ReplSession(sandbox, settings, contexts, historyJson, callHost, time, logger);
        try
        {
            await session.StartWorkerAsync(cancellationToken).ConfigureAwait(false);
            return session;
        }
        catch
        {
            await session.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Runs a cell. Whatever the cell does is a result; only the host's own trouble is an exception.</summary>
    /// <param name="code">The code.</param>
    /// <param name="onOutput">Told what a cell prints while it still runs; called on any thread.</param>
    /// <param name="cancellationToken">Ends the wait; the session must then be disposed, which ends the cell.</param>
    /// <exception cref="SandboxException">The REPL died and no fresh one could be started.</exception>
    public async Task<CellResult> ExecuteAsync(string code, Action<string>? onOutput, CancellationToken cancellationToken)
    {
        if (_worker is null)
        {
            await StartWorkerAsync(cancellationToken).ConfigureAwait(false);
        }

        var worker = _worker!;
        using var cell = new RunningCell(++_cells, _settings, _clock, onOutput, cancellationToken);
        var execution = worker.ExecuteAsync(cell, code);
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
                result = await InterruptAsync(worker, cell, execution, cancellationToken).ConfigureAwait(false);
            }

            return ToResult(result, cell, overTime);
        }
        catch (WorkerGoneException)
        {
            var end = overTime
                ? $"the cell did not stop when it was interrupted after its {_settings.CellTimeout.TotalSeconds:0.###} seconds, and was killed"
                : await worker.DescribeEndAsync().ConfigureAwait(false);
            return await ReplaceAsync(cell, end, cancellationToken).ConfigureAwait(false);
        }
        catch (WorkerErrorException error)
        {
            // No cell does that: the worker itself failed, or code in the cell reached into it.
            await worker.KillAsync().ConfigureAwait(false);
            return await ReplaceAsync(cell, $"its worker failed ({error.Message})", cancellationToken).ConfigureAwait(false);
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
        _clock.Dispose();
        await EndWorkerAsync().ConfigureAwait(false);
    }

    private static void Forget(Task task) =>
        _ = task.ContinueWith(static done => done.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);

    private static string ToName(ContextFormat format) => format switch
    {
        ContextFormat.Json => "json",
        ContextFormat.JsonLines => "jsonl",
        _ => "text",
    };

    private async ValueTask EndWorkerAsync()
    {
        if (Interlocked.Exchange(ref _worker, null) is { } worker)
        {
            await worker.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async Task<ExecuteResult> InterruptAsync(ReplWorker worker, RunningCell cell, Task<ExecuteResult> execution, CancellationToken cancellationToken)
    {
        // The answers to the cell's calls come first, so that a cell that waits for one is free to be interrupted.
        cell.CancelCalls();
        await worker.InterruptAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return await execution.WaitAsync(_settings.InterruptGrace, _time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            await worker.KillAsync().ConfigureAwait(false);
            return await execution.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<CellResult> ReplaceAsync(RunningCell cell, string end, CancellationToken cancellationToken)
    {
        Log.ReplDied(_logger, _sandbox.Name, end);
        var (elapsed, waited) = cell.Clock.Stop();
        await EndWorkerAsync().ConfigureAwait(false);
        try
        {
            await StartWorkerAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (SandboxException error)
        {
            throw new SandboxException($"The REPL died: {end}; its variables are lost, and no fresh one could be started. {error.Message}", error) { Kind = error.Kind };
        }

        return new CellResult
        {
            Status = CellStatus.Died,
            Output = cell.Output,
            Error = $"The REPL died: {end}; its variables are lost. A fresh REPL was started, with the context loaded again.",
            Duration = elapsed,
            Waited = waited,
        };
    }

    private CellResult ToResult(ExecuteResult result, RunningCell cell, bool overTime)
    {
        var (status, error) = result.Status switch
        {
            "ok" => (CellStatus.Ok, null),
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
        try
        {
            var started = _time.GetTimestamp();
            worker = await ReplWorker.StartAsync(_sandbox, _callHost, linked.Token).ConfigureAwait(false);
            await worker.RequestAsync(
                "initialize",
                new InitializeParams(_settings.OutputLimit, ReplSettings.MaxMessageBytes, _settings.AnswerJson, _settings.Functions, _settings.Tools),
                ProtocolJson.Default.InitializeParams,
                ProtocolJson.Default.JsonElement,
                linked.Token).ConfigureAwait(false);
            Log.ReplStarted(_logger, _sandbox.Name, _time.GetElapsedTime(started).TotalMilliseconds);
        }
        catch (Exception error)
        {
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
        try
        {
            await LoadAsync(worker, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception error)
        {
            await EndWorkerAsync().ConfigureAwait(false);
            if (error is WorkerGoneException)
            {
                throw new SandboxException($"The REPL died while its context was loaded: {await worker.DescribeEndAsync().ConfigureAwait(false)}.", error);
            }

            throw;
        }
    }

    private async Task LoadAsync(ReplWorker worker, CancellationToken cancellationToken)
    {
        _contextRecords.Clear();
        _notes.Clear();
        for (var index = 0; index < _contexts.Count; index++)
        {
            var source = _contexts[index];
            var variable = $"context_{index}";
            long replaced = 0;
            ValueParams value;
            if (source.Inline is { } text)
            {
                value = new ValueParams(ToName(source.Format), Index: index, Text: text);
            }
            else
            {
                long bytes = 0;
                var path = await worker.UploadAsync(
                    variable,
                    async (stream, token) =>
                    {
                        var counting = new CountingStream(stream);
                        replaced = await source.WriteAsync(counting, token).ConfigureAwait(false);
                        bytes = counting.Count;
                    },
                    cancellationToken).ConfigureAwait(false);
                value = new ValueParams(ToName(source.Format), Index: index, Path: path, Bytes: bytes);
            }

            var report = await SetAsync(worker, "set_context", value, source.Name ?? variable, cancellationToken).ConfigureAwait(false);
            _contextRecords.Add(new ContextRecord(variable, source.Name, report.Type, report.Length, report.Characters));
            if (replaced > 0)
            {
                _notes.Add($"{source.Name ?? variable}: {replaced:N0} lone surrogates, which UTF-8 cannot hold, were replaced by U+FFFD.");
            }

            if (report.Replaced > 0)
            {
                _notes.Add($"{source.Name ?? variable}: {report.Replaced:N0} byte sequences are not UTF-8 and were replaced by U+FFFD.");
            }
        }

        if (_historyJson is not null)
        {
            await LoadHistoryAsync(worker, _historyJson, cancellationToken).ConfigureAwait(false);
        }
    }

    private static async Task LoadHistoryAsync(ReplWorker worker, string json, CancellationToken cancellationToken)
    {
        var path = await worker.UploadAsync(
            "history",
            async (stream, token) => await stream.WriteAsync(Encoding.UTF8.GetBytes(json), token).ConfigureAwait(false),
            cancellationToken).ConfigureAwait(false);
        await SetAsync(worker, "set_variable", new ValueParams("json", Name: "history", Path: path), "history", cancellationToken).ConfigureAwait(false);
    }

    private static async Task<ValueReport> SetAsync(ReplWorker worker, string method, ValueParams value, string name, CancellationToken cancellationToken)
    {
        try
        {
            return await worker.RequestAsync(method, value, ProtocolJson.Default.ValueParams, ProtocolJson.Default.ValueReport, cancellationToken).ConfigureAwait(false);
        }
        catch (WorkerErrorException error)
        {
            throw new InvalidDataException($"The context '{name}' could not be loaded: {error.Message}", error);
        }
    }
}
