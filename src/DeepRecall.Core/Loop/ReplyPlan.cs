namespace DeepRecall.Loop;

/// <summary>What a reply asks for: the cells to run, and what to tell the model about the blocks that are not run.</summary>
internal sealed record ReplyPlan(IReadOnlyList<string> Cells, IReadOnlyList<string> Remarks)
{
    /// <param name="blocks">The reply's blocks.</param>
    /// <param name="fences">Which of them may be code.</param>
    /// <param name="cutOff">Whether the model was stopped at its output limit.</param>
    public static ReplyPlan From(IReadOnlyList<ReplyBlock> blocks, CodeFences fences, bool cutOff)
    {
        var kind = CodeFences.None;
        foreach (var block in blocks)
        {
            // The tag that was asked for wins over the others, and any tag over none.
            var candidate = Kind(block);
            if ((fences & candidate) != 0 && (kind == CodeFences.None || candidate < kind))
            {
                kind = candidate;
            }
        }

        var chosen = blocks.Where(block => kind != CodeFences.None && Kind(block) == kind).ToArray();
        var cells = Array.FindAll(chosen, block => !string.IsNullOrWhiteSpace(block.Code));

        List<string> remarks = [];
        if (chosen.Length > cells.Length)
        {
            remarks.Add("An empty code block was skipped.");
        }

        var left = blocks.Count(block => Kind(block) is not CodeFences.None && Kind(block) != kind);
        if (left > 0)
        {
            remarks.Add($"{(left == 1 ? "1 block was" : $"{left} blocks were")} not run, being tagged otherwise; tag every block to run with `repl`.");
        }

        if (cutOff)
        {
            remarks.Add(cells.LastOrDefault() is { Closed: false }
                ? "Your reply was cut off at its output limit; its last block was incomplete and ran as it stood. Write shorter replies."
                : "Your reply was cut off at its output limit. Write shorter replies.");
        }

        return new ReplyPlan(Array.ConvertAll(cells, cell => cell.Code), remarks);
    }

    private static CodeFences Kind(ReplyBlock block) => block.Tag switch
    {
        "repl" => CodeFences.Repl,
        "python" or "py" or "python3" => CodeFences.Python,
        "" => CodeFences.Untagged,
        _ => CodeFences.None,
    };
}
