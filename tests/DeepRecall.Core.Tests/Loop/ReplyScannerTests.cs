using DeepRecall.Loop;

namespace DeepRecall.Tests.Loop;

public sealed class ReplyScannerTests
{
    [Fact]
    public void SingleBlock_IsFoundWithItsExactText()
    {
        var (prose, blocks) = Scan.Reply("Let me look.\n```repl\nprint(len(context))\n```\nThen we know.");

        Assert.Equal("Let me look.\nThen we know.", prose);
        Assert.Equal(new ReplyBlock("repl", "print(len(context))", true), Assert.Single(blocks));
    }

    [Fact]
    public void SeveralBlocks_AreFoundInOrder()
    {
        var (prose, blocks) = Scan.Reply("a\n```repl\nx = 1\n```\nb\n```python\ny = 2\n```\n```\nz\n```\nc");

        Assert.Equal("a\nb\nc", prose);
        Assert.Equal(["repl", "python", ""], blocks.Select(block => block.Tag));
        Assert.Equal(["x = 1", "y = 2", "z"], blocks.Select(block => block.Code));
    }

    [Fact]
    public void MultiLineCode_KeepsItsBlankLinesAndIndentation()
    {
        const string Code = "def f(x):\n    if x:\n\n        return 1\n\n    return 2\n\n\nf(0)  ";
        Assert.Equal(Code, Scan.Block($"```repl\n{Code}\n```").Code);
    }

    [Fact]
    public void ReplyWithoutBlocks_IsAllProse()
    {
        var (prose, blocks) = Scan.Reply("No code here.\n\nNone at all.");
        Assert.Equal("No code here.\n\nNone at all.", prose);
        Assert.Empty(blocks);
    }

    [Theory]
    [InlineData("")]
    [InlineData("\n")]
    [InlineData("\r\n\r\n")]
    public void ReplyOfNothing_HasNoBlocks(string reply) => Assert.Empty(Scan.Reply(reply).Blocks);

    [Theory]
    [InlineData("REPL", "repl")]
    [InlineData("Python", "python")]
    [InlineData("repl x = 1", "repl")]
    [InlineData("repl title=\"first\"", "repl")]
    [InlineData("  repl", "repl")]
    [InlineData("{.python .numberLines}", "python")]
    [InlineData("python:main.py", "python")]
    [InlineData("", "")]
    public void Tag_IsTheFirstWordInLowerCase(string info, string tag) =>
        Assert.Equal(new ReplyBlock(tag, "x", true), Scan.Block($"```{info}\nx\n```"));

    [Theory]
    [InlineData("~~~repl", "~~~")]
    [InlineData("````repl", "````")]
    [InlineData("```repl", "`````")]
    [InlineData("~~~~~repl", "~~~~~~")]
    [InlineData("```repl", "```   ")]
    [InlineData("~~~ repl `quoted`", "~~~")]
    public void Fence_MayBeOfTildesAndOfAnyLength(string open, string close) =>
        Assert.Equal(new ReplyBlock("repl", "x", true), Scan.Block($"{open}\nx\n{close}\n"));

    [Fact]
    public void LongerFence_HoldsShorterOnes() =>
        Assert.Equal("a\n```\nb\n```\nc", Scan.Block("````repl\na\n```\nb\n```\nc\n````").Code);

    [Fact]
    public void TildeFence_IsNotClosedByBackticks() =>
        Assert.Equal("a\n```\nb", Scan.Block("~~~repl\na\n```\nb\n~~~").Code);

    [Fact]
    public void FenceInAMarkdownList_LosesItsIndentation()
    {
        var block = Scan.Block("1. First:\n   ```repl\n   for x in y:\n       print(x)\n   ```\n2. Done");
        Assert.Equal("for x in y:\n    print(x)", block.Code);
        Assert.True(block.Closed);
    }

    [Fact]
    public void IndentedFence_IsClosedByOneThatIsIndentedOtherwise() =>
        Assert.Equal(new ReplyBlock("repl", "x = 1", true), Scan.Block("      ```repl\n      x = 1\n```\n"));

    [Fact]
    public void CarriageReturns_AreTakenOffTheLines()
    {
        var (prose, blocks) = Scan.Reply("Look:\r\n```repl\r\nx = 1\r\ny = 2\r\n```\r\nend");
        Assert.Equal("Look:\nend", prose);
        Assert.Equal(new ReplyBlock("repl", "x = 1\ny = 2", true), Assert.Single(blocks));
    }

    [Fact]
    public void FencesWithinATripleQuotedString_DoNotClose()
    {
        const string Code = """"
            prompt = """Answer in this form:
            ```json
            {"x": 1}
            ```
            and nothing else."""
            print(prompt)
            """";
        Assert.Equal(new ReplyBlock("repl", Code, true), Scan.Block($"Now:\n```repl\n{Code}\n```\nend"));
    }

    [Fact]
    public void BareFencesWithinATripleQuotedString_DoNotClose()
    {
        const string Code = "text = '''\n```\ncode\n```\n'''\nprint(text)";
        Assert.Equal(new ReplyBlock("repl", Code, true), Scan.Block($"```repl\n{Code}\n```"));
    }

    [Theory]
    [InlineData("f = f'''\n```\n'''")]
    [InlineData("r = r\"\"\"\\d\n```\n\"\"\"")]
    [InlineData("s = '''it\\'''s\n```\n'''")]
    [InlineData("a = 'it''s'; b = \"\"\"\n```\n\"\"\"")]
    [InlineData("a = 1  # isn't '''\nb = '''\n```\n'''")]
    [InlineData("a = \"'''\"\nb = \"\"\"'''\n```\n\"\"\"")]
    [InlineData("a = 'x \\\n \"\"\" y'\nb = '''\n```\n'''")]
    public void PythonQuotes_AreReadAsPythonReadsThem(string code) =>
        Assert.Equal(new ReplyBlock("repl", code, true), Scan.Block($"```repl\n{code}\n```\nafter"));

    [Fact]
    public void UnbalancedQuotes_FallBackToTheFirstClosingFence()
    {
        var (prose, blocks) = Scan.Reply("```repl\nx = '''never closed\n```\nprose\n```repl\ny = 2\n```\nmore");

        Assert.Equal(["x = '''never closed", "y = 2"], blocks.Select(block => block.Code));
        Assert.All(blocks, block => Assert.True(block.Closed));
        Assert.StartsWith("prose\nmore", prose, StringComparison.Ordinal);
    }

    [Fact]
    public void ApostropheInACommentOrAnOpenPlainString_DoesNotHideTheFence()
    {
        Assert.Equal("x = 1  # don't", Scan.Block("```repl\nx = 1  # don't\n```\nafter").Code);
        Assert.Equal("x = 'oops", Scan.Block("```repl\nx = 'oops\n```\nafter").Code);
    }

    [Theory]
    [InlineData("```repl\nx = 1\ny = 2")]
    [InlineData("```repl\nx = 1\ny = 2\n")]
    public void UnclosedFence_EndsWithTheReply(string reply) =>
        Assert.Equal(new ReplyBlock("repl", "x = 1\ny = 2", false), Scan.Block(reply));

    [Theory]
    [InlineData("```repl\n```", "")]
    [InlineData("```repl\n\n```", "")]
    [InlineData("```repl\n  \n```", "  ")]
    public void EmptyBlock_IsABlock(string reply, string code) => Assert.Equal(code, Scan.Block(reply).Code);

    [Fact]
    public void UniformlyIndentedCode_LosesWhatAllLinesShare() =>
        Assert.Equal("x = 1\n\nif x:\n    print(x)", Scan.Block("```repl\n    x = 1\n\n    if x:\n        print(x)\n```").Code);

    [Fact]
    public void CodeThatBeginsAtTheMargin_KeepsItsIndentation() =>
        Assert.Equal("if x:\n        print(x)", Scan.Block("```repl\nif x:\n        print(x)\n```").Code);

    [Theory]
    [InlineData("Use ```print(x)``` here.")]
    [InlineData("```print(x)```")]
    [InlineData("```repl print(x)```")]
    [InlineData("``x``")]
    public void CodeWithinALine_IsProse(string line)
    {
        var (prose, blocks) = Scan.Reply($"{line}\nend");
        Assert.Equal($"{line}\nend", prose);
        Assert.Empty(blocks);
    }

    [Theory]
    [InlineData("<think>\nI could run\n```repl\nimport os\n```\n</think>\n")]
    [InlineData("\n  <think>maybe\n```repl\nimport os\n```\nno.</think>\n")]
    [InlineData("I could run\n```repl\nimport os\n```\n</think>\n")]
    public void CodeInTheModelsThinking_IsNoBlock(string thinking)
    {
        var (prose, blocks) = Scan.Reply(thinking + "Here:\n```repl\nx = 1\n```\n");
        Assert.Equal(new ReplyBlock("repl", "x = 1", true), Assert.Single(blocks));
        Assert.EndsWith("Here:\n", prose, StringComparison.Ordinal);
    }

    [Fact]
    public void ThinkingOnOneLine_DoesNotHideTheCodeAfterIt() =>
        Assert.Equal("x = 1", Scan.Block("<think>short</think>\n```repl\nx = 1\n```").Code);

    [Fact]
    public void ThinkTagsWithinCode_AreCode()
    {
        const string Code = "text = '<think>'\nprint(text.replace('</think>', ''))";
        Assert.Equal(Code, Scan.Block($"First.\n```repl\n{Code}\n```").Code);
    }
}
