namespace DeepRecall.Tests.Loop;

public sealed class ReplyPlanTests
{
    private const CodeFences All = CodeFences.Repl | CodeFences.Python | CodeFences.Untagged;

    [Fact]
    public void ReplBlocks_WinOverPythonOnesAndUntaggedOnes()
    {
        var plan = Scan.Plan("```python\na\n```\n```repl\nb\n```\n```\nc\n```\n```repl\nd\n```", All);
        Assert.Equal(["b", "d"], plan.Cells);
        Assert.Equal("2 blocks were not run, being tagged otherwise; tag every block to run with `repl`.", Assert.Single(plan.Remarks));
    }

    [Theory]
    [InlineData("python")]
    [InlineData("py")]
    [InlineData("python3")]
    [InlineData("Python")]
    public void PythonBlocks_RunWhereThereIsNoReplBlock(string tag)
    {
        var plan = Scan.Plan($"```{tag}\na\n```\n```\nb\n```", All);
        Assert.Equal(["a"], plan.Cells);
        Assert.StartsWith("1 block was not run", Assert.Single(plan.Remarks), StringComparison.Ordinal);
    }

    [Fact]
    public void UntaggedBlocks_RunWhereTheOptionSaysSo()
    {
        Assert.Equal(["a"], Scan.Plan("```\na\n```", All).Cells);
        Assert.Empty(Scan.Plan("```\na\n```", CodeFences.Repl | CodeFences.Python).Cells);
    }

    [Fact]
    public void PythonBlocks_DoNotRunWhereTheOptionDoesNotSaySo()
    {
        var plan = Scan.Plan("```python\na\n```", CodeFences.Repl);
        Assert.Empty(plan.Cells);
        Assert.Contains("tag every block to run with `repl`", Assert.Single(plan.Remarks), StringComparison.Ordinal);
    }

    [Fact]
    public void BlocksOfOtherLanguages_AreNeitherRunNorRemarkedOn()
    {
        var plan = Scan.Plan("```json\n{}\n```\n```bash\nls\n```\n```sql\nselect 1\n```", All);
        Assert.Empty(plan.Cells);
        Assert.Empty(plan.Remarks);
    }

    [Fact]
    public void NoFences_RunNothing() => Assert.Empty(Scan.Plan("```repl\na\n```", CodeFences.None).Cells);

    [Fact]
    public void EmptyBlocks_AreSkippedAndSaidToBe()
    {
        var plan = Scan.Plan("```repl\n\n```\n```repl\na\n```");
        Assert.Equal(["a"], plan.Cells);
        Assert.Equal("An empty code block was skipped.", Assert.Single(plan.Remarks));
    }

    [Fact]
    public void CutOffReply_IsRemarkedOn()
    {
        var open = Scan.Plan("```repl\na", cutOff: true);
        Assert.Equal(["a"], open.Cells);
        Assert.Contains("its last block was incomplete and ran as it stood", Assert.Single(open.Remarks), StringComparison.Ordinal);

        var closed = Scan.Plan("```repl\na\n```\nand so on", cutOff: true);
        Assert.Equal(["a"], closed.Cells);
        Assert.DoesNotContain("incomplete", Assert.Single(closed.Remarks), StringComparison.Ordinal);
    }
}
