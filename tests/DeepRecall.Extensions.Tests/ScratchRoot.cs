namespace DeepRecall.Tests;

/// <summary>A directory below which local environments have their scratch, so that what is left of them is seen.</summary>
internal sealed class ScratchRoot : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("deeprecall-scratch-").FullName;

    /// <summary>The scratch directories and the processes that are there.</summary>
    public IReadOnlyList<string> Left() =>
    [
        .. Directory.EnumerateDirectories(Path, "scratch-*", SearchOption.AllDirectories),
        .. OperatingSystem.IsLinux() ? Directory.EnumerateDirectories("/proc").Select(CommandLine).Where(line => line.Contains(Path, StringComparison.Ordinal) && !line.Contains("dotnet", StringComparison.Ordinal)) : [],
    ];

    public async Task AssertNothingLeftAsync(CancellationToken cancellationToken)
    {
        var deadline = Environment.TickCount64 + 20_000;
        while (Left().Count > 0 && Environment.TickCount64 < deadline)
        {
            await Task.Delay(20, cancellationToken);
        }

        Assert.Empty(Left());
    }

    public void Dispose()
    {
        try
        {
            Directory.Delete(Path, recursive: true);
        }
        catch (IOException)
        {
            // The sandbox's own lock; it goes with the test process.
        }
    }

    private static string CommandLine(string process)
    {
        try
        {
            return File.ReadAllText(System.IO.Path.Combine(process, "cmdline"));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return string.Empty;
        }
    }
}
