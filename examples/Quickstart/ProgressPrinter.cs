using System.Text;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace Quickstart;

/// <summary>Shows a run on the console while it works, from the updates of its stream.</summary>
internal sealed class ProgressPrinter
{
    private const int MaxLines = 12;
    private const int MaxColumns = 160;

    private readonly TextWriter _out;
    private readonly bool _isTerminal;
    private readonly bool _hasColour;
    private int _started;
    private int _finished;
    private int _failed;
    private bool _inAnswer;
    private bool _midLine;
    private string _breaks = string.Empty;

    public ProgressPrinter(TextWriter target, bool isTerminal, string? noColour)
    {
        _out = target;
        _isTerminal = isTerminal;
        _hasColour = isTerminal && string.IsNullOrEmpty(noColour);
    }

    /// <summary>Gets the run's trajectory, once it has ended with an answer.</summary>
    public RlmTrajectory? Trajectory { get; private set; }

    public void Show(ChatResponseUpdate update)
    {
        foreach (var content in update.Contents)
        {
            switch (content)
            {
                case TextReasoningContent prose:
                    ShowProse(prose.Text);
                    break;
                case TextContent { Text.Length: > 0 } text:
                    ShowAnswer(text.Text);
                    break;
            }
        }

        foreach (var happened in update.GetDeepRecallEvents())
        {
            Show(happened);
        }

        Trajectory = update.GetTrajectory() ?? Trajectory;
    }

    public void Line(string text)
    {
        EndLine();
        _out.WriteLine(Clean(text));
    }

    /// <summary>Shows what a run that failed had found, and what a run used.</summary>
    public void ShowEnd(RlmTrajectory trajectory)
    {
        if (trajectory.PartialAnswer is { } partial)
        {
            Heading("Partial answer");
            Line(partial);
        }
        else if (trajectory.StopReason == StopReason.MaxIterations)
        {
            Line("(All turns were used: this may not be the whole answer.)");
        }
        else if (trajectory.StopDetail is { } limit)
        {
            Line($"(A limit ended the run: {limit}.)");
        }

        if (trajectory.Turns.Count > 0)
        {
            var usage = trajectory.Usage;
            Line(string.Empty);
            Dim($"Turns: {trajectory.Turns.Count}, model calls: {trajectory.ModelCalls:N0}, tokens: {usage.InputTokenCount ?? 0:N0} in and {usage.OutputTokenCount ?? 0:N0} out, time: {trajectory.Duration.TotalSeconds:0.0} s");
        }

        foreach (var note in trajectory.Notes)
        {
            Line($"Note: {note}");
        }
    }

    private void Show(DeepRecallEvent happened)
    {
        switch (happened)
        {
            case TurnStartedEvent { Depth: 0 } turn:
                Heading($"Turn {turn.Turn}" + (turn.Turn > turn.MaxTurns ? ", to answer" : $" of at most {turn.MaxTurns}"));
                break;
            case CompactedEvent { Depth: 0 } compacted:
                Dim($"The conversation was summarised, at about {compacted.Compaction.TokensBefore:N0} tokens.");
                break;
            case CellStartedEvent { Depth: 0 } cell:
                EndLine();
                ShowBlock("  | ", cell.Code.Trim());
                break;
            case CellCompletedEvent { Depth: 0 } cell:
                ShowSubcalls();
                ShowBlock("  > ", string.Join('\n', new[] { cell.Cell.Output.TrimEnd(), cell.Cell.Error }.Where(text => !string.IsNullOrEmpty(text))));
                break;
            case SubcallStartedEvent:
                _started++;
                ShowSubcallsInPlace();
                break;
            case SubcallCompletedEvent subcall:
                _finished++;
                _failed += subcall.Subcall.IsError ? 1 : 0;
                ShowSubcallsInPlace();
                break;
        }
    }

    /// <summary>Line breaks wait for more prose: those around the model's code are not shown.</summary>
    private void ShowProse(string text)
    {
        var body = text.TrimEnd('\r', '\n');
        if (body.Length > 0)
        {
            Write(_midLine ? _breaks + body : body.TrimStart('\r', '\n'));
            _breaks = string.Empty;
        }

        _breaks += text[body.Length..];
    }

    private void ShowAnswer(string text)
    {
        if (!_inAnswer)
        {
            Heading("Answer");
            _inAnswer = true;
        }

        Write(text);
    }

    private void ShowSubcallsInPlace()
    {
        if (_isTerminal)
        {
            _out.Write($"\r  {SubcallCounts()}");
            _midLine = true;
        }
    }

    private void ShowSubcalls()
    {
        if (_started > 0)
        {
            _out.Write(_midLine ? "\r" : string.Empty);
            _midLine = false;
            Dim($"  {SubcallCounts()}");
        }

        (_started, _finished, _failed) = (0, 0, 0);
    }

    private string SubcallCounts() => $"sub-calls: {_started} started, {_finished} finished, {_failed} failed";

    private void ShowBlock(string prefix, string text)
    {
        var lines = text.Length == 0 ? [] : text.Split('\n');
        foreach (var line in lines.Take(lines.Length <= MaxLines + 1 ? lines.Length : MaxLines))
        {
            Dim(prefix + (line.Length > MaxColumns ? line[..MaxColumns] + "..." : line));
        }

        if (lines.Length > MaxLines + 1)
        {
            Dim($"{prefix}... {lines.Length - MaxLines} more lines");
        }
    }

    private void Heading(string text)
    {
        EndLine();
        _out.WriteLine();
        _out.WriteLine(_hasColour ? $"\e[1m{text}\e[0m" : text);
    }

    private void Dim(string text)
    {
        EndLine();
        _out.WriteLine(_hasColour ? $"\e[2m{Clean(text)}\e[0m" : Clean(text));
    }

    private void Write(string text)
    {
        var shown = Clean(text);
        _out.Write(shown);
        _midLine = shown.Length > 0 ? !shown.EndsWith('\n') : _midLine;
    }

    private void EndLine()
    {
        if (_midLine)
        {
            _out.WriteLine();
            _midLine = false;
        }

        _breaks = string.Empty;
    }

    /// <summary>What a model or its code prints must not steer the terminal.</summary>
    private static string Clean(string text)
    {
        var clean = new StringBuilder(text.Length);
        foreach (var letter in text)
        {
            if (letter is '\n' or '\t' || !char.IsControl(letter))
            {
                clean.Append(letter);
            }
        }

        return clean.ToString();
    }
}
