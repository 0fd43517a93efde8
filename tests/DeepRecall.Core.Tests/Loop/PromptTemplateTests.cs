using DeepRecall.Loop;

namespace DeepRecall.Tests.Loop;

public sealed class PromptTemplateTests
{
    private static readonly Dictionary<string, string> Values = new(StringComparer.Ordinal) { ["a"] = "one", ["b"] = "{{a}}", ["c"] = string.Empty };

    [Theory]
    [InlineData("", "")]
    [InlineData("{{a}}", "one")]
    [InlineData("x {{a}} y {{a}}", "x one y one")]
    [InlineData("[{{c}}]", "[]")]
    [InlineData("{a} } {", "{a} } {")]
    [InlineData("{{a", "{{a")]
    [InlineData("a}} {{a}}", "a}} one")]
    public void Tokens_AreFilledIn(string template, string expected) => Assert.Equal(expected, new PromptTemplate(template).Fill(Values));

    [Fact]
    public void ValueThatLooksLikeAToken_IsNotFilledInAgain() => Assert.Equal("{{a}}one", new PromptTemplate("{{b}}{{a}}").Fill(Values));

    [Fact]
    public void TokenWithoutAValue_IsLeftAsItStands() => Assert.Equal("{{unknown}} one", new PromptTemplate("{{unknown}} {{a}}").Fill(Values));
}
