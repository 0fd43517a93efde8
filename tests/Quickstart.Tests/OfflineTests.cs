using System.Diagnostics;

namespace Quickstart.Tests;

/// <summary>Without a provider: the scripted model, the real engine and the real REPL.</summary>
public class OfflineTests
{
    [Theory]
    [InlineData(1, new string[0])]
    [InlineData(4, new[] { "--seed", "4" })]
    [InlineData(-9, new[] { "--seed=-9" })]
    public async Task SampleLog_TheAnswerHoldsThePlantedFacts(int seed, string[] arguments)
    {
        var result = await QuickstartProcess.RunAsync(arguments);

        Assert.Equal((0, string.Empty), (result.ExitCode, result.Errors));
        Assert.StartsWith("No provider is configured: a scripted model answers", result.Output, StringComparison.Ordinal);
        var (worst, count, causes) = PlantedFacts(seed);
        Assert.Contains($"is {worst}: {count} of ", result.Answer, StringComparison.Ordinal);
        Assert.All(causes, cause => Assert.Contains($"- {cause.Text} ({cause.Count} times)", result.Answer, StringComparison.Ordinal));
        Assert.Contains("sub-calls: 10 started, 10 finished, 0 failed", result.Output, StringComparison.Ordinal);
        Assert.Empty(result.LeftBehind);
    }

    [Fact]
    public void OtherSeeds_HaveOtherFacts() =>
        Assert.NotEqual(PlantedFacts(1).Worst, PlantedFacts(4).Worst);

    [Fact]
    public async Task OutputThatIsNotATerminal_HasNoColour()
    {
        var result = await QuickstartProcess.RunAsync(["Why?"]);

        Assert.DoesNotContain('\e', result.Output);
        Assert.DoesNotContain('\r', result.Output);
    }

    [Fact]
    public async Task File_IsSearchedForTheWordsOfTheQuestion()
    {
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, Haystack("The harbour master keeps the spare keys under the blue lantern."), TestContext.Current.CancellationToken);

            var result = await QuickstartProcess.RunAsync(["--context", file, "Where", "are", "the \"spare\" keys?"]);

            Assert.Equal(0, result.ExitCode);
            Assert.Contains("- The harbour master keeps the spare keys under the blue lantern.", result.Answer, StringComparison.Ordinal);
            Assert.Contains("keyword search by a scripted stand-in", result.Answer, StringComparison.Ordinal);
            Assert.Empty(result.LeftBehind);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task StandardInput_IsTheContext()
    {
        var input = Haystack("Der Schlüssel 🔑 liegt unter der Laterne.");

        var result = await QuickstartProcess.RunAsync(["--context", "-", "Wo liegt der Schlüssel?"], input: input);

        Assert.Equal(0, result.ExitCode);
        Assert.Contains("- Der Schlüssel 🔑 liegt unter der Laterne.", result.Answer, StringComparison.Ordinal);
        Assert.Empty(result.LeftBehind);
    }

    [Fact]
    public async Task NothingFound_IsSaid()
    {
        var result = await QuickstartProcess.RunAsync(["--context=-", "--", "--zebra?"], input: Haystack("nothing"));

        Assert.Equal(0, result.ExitCode);
        Assert.Contains("No passage of the context has these words.", result.Answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task QuestionAlone_IsNotGuessedAt()
    {
        var result = await QuickstartProcess.RunAsync(["What", "is", "the", "answer?"]);

        Assert.Equal(0, result.ExitCode);
        Assert.Contains("cannot answer without a context: there is only the question, of 4 words", result.Answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task TurnsThatDoNotSuffice_AreSaid()
    {
        var result = await QuickstartProcess.RunAsync([], new Dictionary<string, string> { ["DeepRecall__MaxIterations"] = "2" });

        Assert.Equal(0, result.ExitCode);
        Assert.Contains("All turns were used", result.Answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ControlC_EndsARunThatWaitsForItsInput()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "It needs signals.");
        await using var process = QuickstartProcess.StartInterruptible(["--context", "-", "Why?"]);
        await process.Input.WriteAsync("This input has no end.\n");
        await process.Input.FlushAsync(TestContext.Current.CancellationToken);
        await process.Asked.WaitAsync(TestContext.Current.CancellationToken);
        await Task.Delay(TimeSpan.FromSeconds(1), TestContext.Current.CancellationToken); // to let it read

        var clock = Stopwatch.StartNew();
        Process.Start("kill", ["-INT", $"{process.Id}"]).Dispose();
        var result = await process.EndAsync();

        Assert.Equal((130, "Cancelled."), (result.ExitCode, result.ErrorLine));
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(30));
    }

    private static (string Worst, int Count, IEnumerable<(string Text, int Count)> Causes) PlantedFacts(int seed)
    {
        var worst = new SampleLog(seed).Incidents.Where(incident => incident.IsPaymentFailure).GroupBy(incident => incident.Service).MaxBy(group => group.Count())!;
        return (worst.Key, worst.Count(), worst.GroupBy(incident => incident.Cause).Select(group => (group.Key, group.Count())));
    }

    private static string Haystack(string needle)
    {
        var hay = Enumerable.Range(0, 5000).Select(number => $"Line {number}: ships came and went.").ToList();
        hay.Insert(3456, needle);
        return string.Join('\n', hay) + "\n";
    }
}
