namespace DeepRecall;

/// <summary>Which fenced blocks of a reply are code for the REPL.</summary>
[Flags]
public enum CodeFences
{
    /// <summary>No block: the model can only answer in text.</summary>
    None = 0,

    /// <summary>Blocks tagged <c>repl</c>, the tag that the system prompt asks for.</summary>
    Repl = 1,

    /// <summary>Blocks tagged <c>python</c> or <c>py</c>, in replies that have no <c>repl</c> block.</summary>
    Python = 2,

    /// <summary>Blocks without a tag, in replies that have neither of the others.</summary>
    Untagged = 4,
}
