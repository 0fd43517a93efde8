using System.Text;

namespace DeepRecall.Loop;

/// <summary>Splits a reply into prose and fenced blocks, line by line, while the reply is still arriving.</summary>
/// <remarks>
/// Fences are those of CommonMark (section 4.5), with two liberties: a fence may be indented as far as it likes, and a closing fence
/// that stands inside a Python triple-quoted string does not close, unless the block has no other end.
/// </remarks>
internal sealed class ReplyScanner
{
    private const string EndOfThinking = "</think>";

    private readonly StringBuilder _partial = new();
    private readonly StringBuilder _prose = new();
    private readonly StringBuilder _spoken = new();
    private readonly List<ReplyBlock> _blocks = [];
    private OpenBlock? _open;
    private bool _thinking;
    private bool _anything;

    /// <summary>The text outside blocks.</summary>
    public string Prose => _prose.ToString();

    /// <summary>The text outside blocks and outside <c>&lt;think&gt;</c> tags: what the model says.</summary>
    public string Spoken => _spoken.ToString();

    public IReadOnlyList<ReplyBlock> Blocks => _blocks;

    /// <summary>What a whole reply says; where it says nothing beside its blocks, the last of these that is closed and no code.</summary>
    public static string SpokenOf(string reply)
    {
        var scanner = new ReplyScanner();
        scanner.Append(reply);
        scanner.Complete();
        var spoken = scanner.Spoken.Trim();
        return spoken.Length > 0 ? spoken
            : scanner.Blocks.LastOrDefault(block => block.Closed && (block.Tag.Length == 0 || string.Equals(block.Tag, "json", StringComparison.OrdinalIgnoreCase)))?.Code ?? string.Empty;
    }

    /// <summary>Takes the next piece of the reply.</summary>
    /// <returns>The prose that became known with it; it is the same, however the reply was cut into pieces.</returns>
    public string Append(string text)
    {
        var before = _prose.Length;
        var rest = text.AsSpan();
        int end;
        while ((end = rest.IndexOf('\n')) >= 0)
        {
            _partial.Append(rest[..end]);
            TakeLine(ended: true);
            rest = rest[(end + 1)..];
        }

        _partial.Append(rest);
        return _prose.ToString(before, _prose.Length - before);
    }

    /// <summary>Ends the reply.</summary>
    /// <returns>The last of the prose.</returns>
    public string Complete()
    {
        var before = _prose.Length;
        if (_partial.Length > 0)
        {
            TakeLine(ended: false);
        }

        while (_open is { } open)
        {
            _open = null;
            if (open.PossibleEnd is { } possible)
            {
                // The quotes in the block do not match up; its first plain closing fence was its end after all.
                Close(open, possible.Lines, closed: true);
                foreach (var line in open.Lines.Skip(possible.Lines + 1))
                {
                    Take(line, ended: true);
                }
            }
            else
            {
                Close(open, open.Lines.Count, closed: false);
            }
        }

        return _prose.ToString(before, _prose.Length - before);
    }

    private void TakeLine(bool ended)
    {
        if (_partial.Length > 0 && _partial[^1] == '\r')
        {
            _partial.Length--;
        }

        var line = _partial.ToString();
        _partial.Clear();
        Take(line, ended);
    }

    private void Take(string line, bool ended)
    {
        if (_open is { } open)
        {
            TakeCode(open, line);
            return;
        }

        // Some models think aloud between <think> tags; code in there is not meant to run.
        if (!_anything && line.TrimStart().StartsWith("<think>", StringComparison.Ordinal))
        {
            _thinking = true;
        }

        _anything |= !string.IsNullOrWhiteSpace(line);
        var fence = _thinking ? null : Fence.TryOpen(line);
        if (fence is not null)
        {
            _open = new OpenBlock(fence);
            return;
        }

        _prose.Append(line);
        if (ended)
        {
            _prose.Append('\n');
        }

        if (line.IndexOf(EndOfThinking, StringComparison.Ordinal) is var end and >= 0)
        {
            // A template may have opened the thinking before the reply began: all before this was thought, not said.
            _thinking = false;
            _blocks.Clear();
            _spoken.Clear();
            line = line[(end + EndOfThinking.Length)..];
        }

        if (!_thinking)
        {
            _spoken.Append(line).Append('\n');
        }
    }

    private void TakeCode(OpenBlock open, string line)
    {
        if (open.Fence.IsClosedBy(line))
        {
            if (!open.Quotes.InString)
            {
                _open = null;
                Close(open, open.Lines.Count, closed: true);
                return;
            }

            open.PossibleEnd ??= new PossibleEnd(open.Lines.Count);
        }

        open.Lines.Add(line);
        open.Quotes.Take(line);
    }

    private void Close(OpenBlock open, int lines, bool closed) =>
        _blocks.Add(new ReplyBlock(open.Fence.Tag, Indentation.Remove(open.Lines.Take(lines), open.Fence.Indent), closed));

    private sealed class OpenBlock(Fence fence)
    {
        public Fence Fence { get; } = fence;

        public List<string> Lines { get; } = [];

        public PythonQuotes Quotes { get; } = new();

        public PossibleEnd? PossibleEnd { get; set; }
    }

    private sealed record PossibleEnd(int Lines);
}

/// <summary>A fenced block of a reply.</summary>
/// <param name="Tag">The first word after the fence, in lower case; empty when there is none.</param>
/// <param name="Code">What it holds.</param>
/// <param name="Closed">Whether it has a closing fence.</param>
internal sealed record ReplyBlock(string Tag, string Code, bool Closed);
