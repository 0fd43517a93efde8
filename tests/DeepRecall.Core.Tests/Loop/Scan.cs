using DeepRecall.Loop;

namespace DeepRecall.Tests.Loop;

/// <summary>Reads a reply as the loop does, in one piece or in many.</summary>
internal static class Scan
{
    public static (string Prose, IReadOnlyList<ReplyBlock> Blocks) Reply(params string[] pieces)
    {
        var scanner = new ReplyScanner();
        var told = string.Concat(pieces.Select(scanner.Append)) + scanner.Complete();
        Assert.Equal(scanner.Prose, told);
        return (scanner.Prose, scanner.Blocks);
    }

    public static ReplyBlock Block(string reply) => Assert.Single(Reply(reply).Blocks);

    public static ReplyPlan Plan(string reply, CodeFences fences = CodeFences.Repl | CodeFences.Python, bool cutOff = false) =>
        ReplyPlan.From(Reply(reply).Blocks, fences, cutOff);
}
