namespace Quickstart.Tests;

public class ArgumentsTests
{
    [Theory]
    [InlineData("'--colour' is not an option. Allowed are --context FILE|-, --seed N, --help, and the words of a question.", "--colour", "why")]
    [InlineData("--context needs a file, or - for standard input.", "--context")]
    [InlineData("--context needs a QUESTION after it", "--context", "-")]
    [InlineData("--context: there is no file '/there/is/none'; an existing file, or - for standard input, is allowed.", "--context", "/there/is/none", "why")]
    [InlineData("--context: '/' is a directory;", "--context=/", "why")]
    [InlineData("--context is given twice;", "--context", "-", "--context", "-", "why")]
    [InlineData("--seed: 'many' is not allowed; a whole number", "--seed", "many")]
    [InlineData("--seed is for the sample log;", "--seed", "3", "why")]
    [InlineData("QUESTION is blank;", " ")]
    public async Task BadArguments_EndWithOneLineAndExitCode2(string problem, params string[] arguments)
    {
        var result = await QuickstartProcess.RunAsync(arguments);

        Assert.Equal((2, string.Empty), (result.ExitCode, result.Output));
        Assert.StartsWith(problem, result.ErrorLine, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Help_TellsEveryOption()
    {
        var result = await QuickstartProcess.RunAsync(["--help"]);

        Assert.Equal((0, string.Empty), (result.ExitCode, result.Errors));
        Assert.All(["--context FILE|-", "--seed N", "OPENAI_API_KEY", "OLLAMA_HOST"], text => Assert.Contains(text, result.Output, StringComparison.Ordinal));
    }

    [Fact]
    public void WordsAfterTheFirst_AreTheQuestion_EvenWithADash()
    {
        Assert.True(Arguments.TryParse(["Is", "--seed", "an", "option?"], out var arguments, out _));
        Assert.Equal("Is --seed an option?", arguments.Question);
    }
}
