using System.Text;
using DeepRecall.Trajectory;

namespace DeepRecall.Loop;

/// <summary>What the model is told after a turn.</summary>
internal sealed class Feedback
{
    private readonly StringBuilder _text = new();

    public void AddCell(CellRecord cell, string? note, int position, int count)
    {
        Separate();
        _text.Append(count == 1 ? "REPL output:\n" : $"REPL output (block {position} of {count}):\n");
        var length = _text.Length;
        AddLine(cell.Output);
        AddLine(cell.Error);
        AddLine(note is null ? null : $"Note: {note}");
        if (_text.Length == length)
        {
            _text.Append("(no output)\n");
        }

        if (cell.Variables.Count > 0)
        {
            _text.Append("Variables: ").AppendJoin(", ", cell.Variables).Append('\n');
        }
    }

    public void AddSkipped(int position, int count, string reason)
    {
        var skipped = position + 1 == count ? $"Block {count} was" : $"Blocks {position + 1} to {count} were";
        Add($"{skipped} not run, because block {position} {reason}.");
    }

    /// <summary>Says why nothing, or not everything, of a reply was run.</summary>
    public void AddRemarks(ModelReply reply, ReplyPlan plan)
    {
        if (string.IsNullOrWhiteSpace(reply.Text))
        {
            Add("Your reply was empty. Write code in a fence tagged `repl`.");
        }
        else if (plan.Cells.Count == 0)
        {
            Add(
                "Nothing was run: your reply has no code in a fence tagged `repl`. Write code in such a fence; "
                + "if the text of your reply is the answer, give it with `answer[\"content\"] = ...` and `answer[\"ready\"] = True` in one.");
        }

        foreach (var remark in plan.Remarks)
        {
            Add(remark);
        }
    }

    public void Add(string remark)
    {
        Separate();
        _text.Append(remark).Append('\n');
    }

    public override string ToString() => _text.ToString();

    private void Separate()
    {
        if (_text.Length > 0)
        {
            _text.Append('\n');
        }
    }

    private void AddLine(string? text)
    {
        if (!string.IsNullOrEmpty(text))
        {
            _text.Append(text);
            if (!text.EndsWith('\n'))
            {
                _text.Append('\n');
            }
        }
    }
}
