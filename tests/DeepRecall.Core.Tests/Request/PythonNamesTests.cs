using CsCheck;
using DeepRecall.Request;

namespace DeepRecall.Tests.Request;

public sealed class PythonNamesTests
{
    [Theory]
    [InlineData("get_weather", "get_weather")]
    [InlineData("get-weather", "get_weather")]
    [InlineData("a.b c", "a_b_c")]
    [InlineData("2nd", "_2nd")]
    [InlineData("", "_")]
    [InlineData("é", "_")]
    public void Name_IsTheNearestThatPythonAllows(string name, string expected) => Assert.Equal(expected, PythonNames.Of(name));

    [Fact]
    public void AnyName_BecomesAnIdentifier() =>
        Gen.String.Sample(name => Assert.Matches("^[A-Za-z_][A-Za-z0-9_]*$", PythonNames.Of(name)), iter: 2_000, threads: 1);

    [Theory]
    [InlineData("context", true)]
    [InlineData("context_0", true)]
    [InlineData("history_12", true)]
    [InlineData("SHOW_VARS", true)]
    [InlineData("context_", false)]
    [InlineData("context_a", false)]
    [InlineData("Context", false)]
    public void NamesOfTheRepl_AreReserved(string name, bool reserved) => Assert.Equal(reserved, PythonNames.IsReserved(name));
}
