using DeepRecall.Loop;

namespace DeepRecall.Tests.Loop;

public sealed class FinalTextTests
{
    [Theory]
    [InlineData("FINAL(42)", "42")]
    [InlineData("I am done.\n\n  FINAL(the answer)  \n", "the answer")]
    [InlineData("FINAL(\"quoted\")", "quoted")]
    [InlineData("FINAL('quoted')", "quoted")]
    [InlineData("FINAL(\"\"\"two\nlines\"\"\")", "two\nlines")]
    [InlineData("FINAL(\"a\" and \"b\")", "\"a\" and \"b\"")]
    [InlineData("FINAL(f(x))", "f(x)")]
    [InlineData("FINAL(one\ntwo\nthree)", "one\ntwo\nthree")]
    [InlineData("FINAL(first)\r\n", "first")]
    [InlineData("FINAL()", "")]
    public void FinalOnALineOfItsOwn_IsAnAnswer(string prose, string value) =>
        Assert.Equal(new FinalText(false, value), FinalText.TryFind(prose));

    [Theory]
    [InlineData("FINAL_VAR(result)", "result")]
    [InlineData("  FINAL_VAR( result )", "result")]
    [InlineData("FINAL_VAR(\"result\")", "result")]
    [InlineData("FINAL_VAR('result')", "result")]
    [InlineData("So:\nFINAL_VAR(_my_var2)\nbye", "_my_var2")]
    public void FinalVarOnALineOfItsOwn_NamesAVariable(string prose, string name) =>
        Assert.Equal(new FinalText(true, name), FinalText.TryFind(prose));

    [Theory]
    [InlineData("")]
    [InlineData("I will call FINAL(x) later.")]
    [InlineData("final(42)")]
    [InlineData("FINAL 42")]
    [InlineData("FINAL(never closed")]
    [InlineData("FINAL_VAR(not a name)")]
    [InlineData("FINAL_VAR()")]
    [InlineData("FINAL_VAR(1st)")]
    [InlineData("`FINAL(x)`")]
    public void TextThatOnlyMentionsIt_IsNoAnswer(string prose) => Assert.Null(FinalText.TryFind(prose));

    [Fact]
    public void FirstOfSeveral_Counts() =>
        Assert.Equal(new FinalText(true, "a"), FinalText.TryFind("FINAL_VAR(a)\nFINAL_VAR(b)"));

    [Fact]
    public void FinalWithinCode_IsNoAnswerInText() =>
        Assert.Null(FinalText.TryFind(Scan.Reply("Now:\n```repl\nFINAL(42)\n```\n").Prose));
}
