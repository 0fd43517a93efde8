using System.Buffers;
using System.Text;
using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Connect;

// The two directions of the exchange, and what becomes of them when the connection breaks.
internal sealed partial class ConnectProcess
{
    private async Task ReadAsync()
    {
        var failures = 0;
        while (!_ending.IsCancellationRequested)
        {
            var attached = _host.Time.GetTimestamp();
            var failure = await ReadEventsAsync(again: failures > 0).ConfigureAwait(false);
            if (failure is null)
            {
                break;
            }

            failures = _started.Task.IsCompleted && _host.Time.GetElapsedTime(attached) > GoodConnection ? 1 : failures + 1;
            if (!await MayTryAgainAsync(failure, failures).ConfigureAwait(false))
            {
                break;
            }
        }

        _started.TrySetException(new SandboxException($"The start in {_service.Display} was given up."));
        _ = _started.Task.Exception;
        _exited.TrySetResult(new SandboxExit(null));
        await _output.Writer.CompleteAsync(_lost).ConfigureAwait(false);
    }

    /// <summary>Reads events until the process or the connection ends.</summary>
    /// <returns>What broke the connection, or <see langword="null"/> at the end of the process or of this object.</returns>
    private async Task<ConnectException?> ReadEventsAsync(bool again)
    {
        using var quiet = new CancellationTokenSource(QuietLimit, _host.Time);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(_ending.Token, quiet.Token);
        try
        {
            var events = _pid == 0 ? _service.StartAsync(_command, again, stop.Token) : _service.AttachAsync(_pid, stop.Token);
            await foreach (var happened in events.ConfigureAwait(false))
            {
                quiet.CancelAfter(QuietLimit);
                switch (happened.Kind)
                {
                    case ProcessEventKind.Started:
                        await OnAttachedAsync(happened.Pid, again, stop.Token).ConfigureAwait(false);
                        break;
                    case ProcessEventKind.Output:
                        await _output.Writer.WriteAsync(happened.Data, _ending.Token).ConfigureAwait(false);
                        break;
                    case ProcessEventKind.Error when _errors.Length < MaxErrorText:
                        _errors.Append(Encoding.UTF8.GetString(happened.Data.Span[..Math.Min(happened.Data.Length, MaxErrorText)]));
                        break;
                    case ProcessEventKind.Ended:
                        _exited.TrySetResult(Finish(happened.Exit!));
                        return null;
                }
            }

            return new ConnectException(ConnectException.Unavailable, "the stream ended before the process did");
        }
        catch (OperationCanceledException)
        {
            return _ending.IsCancellationRequested
                ? null
                : new ConnectException(ConnectException.Unavailable, $"nothing was heard for {QuietLimit.TotalSeconds:0} seconds");
        }
        catch (Exception error)
        {
            // Whatever it is, nobody reads any more: those who wait must know.
            return error as ConnectException ?? new ConnectException("internal", error.Message, error);
        }
    }

    private async Task OnAttachedAsync(uint pid, bool again, CancellationToken cancellationToken)
    {
        _pid = pid; // before those who wait for the start go on, and send
        if (!_started.TrySetResult() || again)
        {
            _output.Writer.Write("\n"u8);
            await _output.Writer.FlushAsync(cancellationToken).ConfigureAwait(false);
            _resumed.Raise();
        }
    }

    private async Task<bool> MayTryAgainAsync(ConnectException failure, int failures)
    {
        if (!_started.Task.IsCompleted && (!failure.IsTransient || failures >= _backOff.Attempts))
        {
            var kind = failure.InnerException is HttpRequestException or IOException ? SandboxErrorKind.Connection : CloudErrors.KindOf(failure.Status, failure.Message);
            _started.TrySetException(_service.Errors.Failed(kind, $"start Python in {_service.Display}", failure.Message, failure));
            return false;
        }

        if (failure.Code == ConnectException.NotFound)
        {
            _exited.TrySetResult(Finish(new SandboxExit(null, null, "the process ended while the connection to it was lost")));
            return false;
        }

        try
        {
            if (failures > 1 && await _service.IsGoneAsync(_ending.Token).ConfigureAwait(false))
            {
                Lose($"{_service.Display} is gone: it was deleted, or its time ran out", failure);
                return false;
            }

            if (!failure.IsTransient || failures >= _backOff.Attempts)
            {
                Lose($"the connection to {_service.Display} was lost and could not be made again in {failures} attempts ({failure.Message})", failure);
                return false;
            }

            LogReconnect(_host.Logger, _service.Display, _service.Errors.Redact(failure.Message), failures, _backOff.Attempts);
            await Task.Delay(_backOff.WaitAfter(failures - 1), _host.Time, _ending.Token).ConfigureAwait(false);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    /// <summary>Gives the process up: everybody who waits for it is told why.</summary>
    private void Lose(string reason, Exception cause)
    {
        var said = _service.Errors.Redact(reason);
        _lost ??= new SandboxException($"{char.ToUpperInvariant(said[0])}{said[1..]}. What the REPL held is lost.", _service.Errors.Safe(cause)) { Kind = SandboxErrorKind.Connection };
        _exited.TrySetResult(new SandboxExit(null, null, said));
    }

    private async ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        while (!bytes.IsEmpty)
        {
            if (_exited.Task.IsCompleted)
            {
                throw _lost is null ? new IOException("The process has ended.") : new IOException(_lost.Message, _lost);
            }

            var chunk = bytes[..Math.Min(bytes.Length, _service.InputChunk)];
            if (await TrySendAsync(chunk, cancellationToken).ConfigureAwait(false) is { } failure)
            {
                await OnInputFailedAsync(failure).ConfigureAwait(false);
                return;
            }

            _inputFailures = 0;
            bytes = bytes[chunk.Length..];
        }
    }

    /// <summary>Sends a chunk.</summary>
    /// <returns>Why nobody knows whether it arrived, or <see langword="null"/> when it did.</returns>
    private async Task<ConnectException?> TrySendAsync(ReadOnlyMemory<byte> chunk, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _ending.Token);
        limit.CancelAfter(InputLimit);
        try
        {
            await _service.SendInputAsync(_pid, chunk, limit.Token).ConfigureAwait(false);
            return null;
        }
        catch (ConnectException error) when (error.IsTransient)
        {
            return error;
        }
        catch (ConnectException error)
        {
            // No such process, as a rule; the stream of its events tells how it ended.
            throw new IOException($"The process takes no input: {_service.Errors.Redact(error.Message)}", _service.Errors.Safe(error));
        }
        catch (OperationCanceledException error) when (!cancellationToken.IsCancellationRequested)
        {
            return _ending.IsCancellationRequested
                ? throw new IOException("The process has ended.", error)
                : new ConnectException("deadline_exceeded", $"input was not taken within {InputLimit.TotalMinutes:0} minutes", error);
        }
    }

    private async Task OnInputFailedAsync(ConnectException failure)
    {
        LogInputFailed(_host.Logger, _service.Display, _service.Errors.Redact(failure.Message));
        if (++_inputFailures >= _backOff.Attempts)
        {
            Lose($"the connection to {_service.Display} was lost: {_inputFailures} attempts to send input failed ({failure.Message})", failure);
            await _ending.CancelAsync().ConfigureAwait(false);
            throw new IOException(_lost!.Message, _lost);
        }

        try
        {
            await Task.Delay(_backOff.WaitAfter(_inputFailures - 1), _host.Time, _ending.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException error)
        {
            throw new IOException("The process has ended.", error);
        }

        _resumed.Raise();
    }
}
