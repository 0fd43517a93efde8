using System.ComponentModel;
using System.Diagnostics;

namespace DeepRecall.Sandboxes.Tests.Cloud;

/// <summary>A vendor's own SDK against an emulator of ours: a Node.js test of tests/sdk-conformance.</summary>
internal static class SdkRun
{
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(3);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>Runs a file of tests to its end; skipped, with the reason, where Node.js or the SDKs are not installed.</summary>
    public static async Task RunAsync(string file, params IEnumerable<(string Name, string Value)> variables)
    {
        var directory = Path.Combine(Repository(), "tests", "sdk-conformance");
        Assert.SkipUnless(Directory.Exists(Path.Combine(directory, "node_modules")), "The SDKs are not installed: run 'npm ci' in tests/sdk-conformance.");
        var start = new ProcessStartInfo("node", ["--test", file]) { WorkingDirectory = directory, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in variables)
        {
            start.Environment[name] = value;
        }

        using var process = Start(start);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Token);
        limit.CancelAfter(Longest);
        var output = process.StandardOutput.ReadToEndAsync(limit.Token);
        var errors = process.StandardError.ReadToEndAsync(limit.Token);
        try
        {
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }

        Assert.True(process.ExitCode == 0, $"{await output}\n{await errors}");
    }

    private static Process Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception)
        {
            Assert.Skip("Node.js is not installed.");
            throw;
        }
    }

    private static string Repository()
    {
        var directory = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(directory, "DeepRecall.Extensions.sln")))
        {
            directory = Path.GetDirectoryName(directory) ?? throw new InvalidOperationException("The tests do not run in the repository.");
        }

        return directory;
    }
}
