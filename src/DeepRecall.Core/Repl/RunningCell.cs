using System.Text;

namespace DeepRecall.Repl;

/// <summary>A cell while it runs: its clock, the token of its host calls, and what it has printed so far.</summary>
internal sealed class RunningCell : IDisposable
{
    private readonly CancellationTokenSource _expired;
    private readonly CancellationTokenSource _calls;
    private readonly Action<string>? _onOutput;
    private readonly int _outputLimit;
    private readonly StringBuilder _output = new();
    private readonly Lock _lock = new();
    private int _parts;

    public RunningCell(int number, ReplSettings settings, CellClock clock, Action<string>? onOutput, CancellationToken cancellationToken)
    {
        Number = number;
        _onOutput = onOutput;
        _outputLimit = settings.OutputLimit;
        _expired = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _calls = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        CallsToken = _calls.Token;
        Clock = clock;
        clock.Start(() => Cancel(_expired));
    }

    public int Number { get; }

    public CellClock Clock { get; }

    /// <summary>Cancelled when the cell's time is over, or the request is cancelled.</summary>
    public CancellationToken Expired => _expired.Token;

    /// <summary>Cancelled when the cell is over, however it ended.</summary>
    public CancellationToken CallsToken { get; }

    /// <summary>What the cell printed, as far as it was sent while the cell ran.</summary>
    public string Output
    {
        get
        {
            lock (_lock)
            {
                return _output.ToString();
            }
        }
    }

    public void AddOutput(OutputParams output)
    {
        if (output.Cell != Number || string.IsNullOrEmpty(output.Text))
        {
            return;
        }

        string text;
        lock (_lock)
        {
            // A part before this one was lost with the connection: the worker sends them all again.
            if (output.Part != _parts + 1)
            {
                return;
            }

            _parts++;

            // The worker keeps the limit itself; only a forged message is cut here.
            var room = _outputLimit - _output.Length;
            if (room <= 0)
            {
                return;
            }

            text = output.Text.Length <= room ? output.Text : output.Text[..room];
            _output.Append(text);
        }

        _onOutput?.Invoke(text);
    }

    public void CancelCalls() => Cancel(_calls);

    public void Dispose()
    {
        Clock.Stop();
        Cancel(_calls);
        _calls.Dispose();
        _expired.Dispose();
    }

    // The clock and the worker may still be on their way when the cell is over.
    private static void Cancel(CancellationTokenSource source)
    {
        try
        {
            source.Cancel();
        }
        catch (ObjectDisposedException)
        {
        }
    }
}
