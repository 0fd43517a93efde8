using System.ComponentModel;
using System.Diagnostics;

namespace DeepRecall.Sandboxes.Tests.SdkConformance;

/// <summary>Runs tests of <c>tests/sdk-conformance</c>, in which the vendors' own SDKs drive an emulator; installs the SDKs once.</summary>
internal static class NodeRunner
{
    private static readonly string[] Unreachable = ["ENOTFOUND", "ECONNREFUSED", "EAI_AGAIN", "ETIMEDOUT", "ENETUNREACH"];
    private static readonly Lazy<Task<string?>> Installed = new(InstallAsync);

    private static string Folder { get; } = FindFolder();

    /// <summary>Runs a file of tests; skips with the reason where the SDKs cannot be had.</summary>
    public static async Task RunAsync(string file, IReadOnlyDictionary<string, string> variables, CancellationToken cancellationToken)
    {
        Assert.SkipWhen(await Installed.Value is not null, await Installed.Value ?? string.Empty);
        // SDKs keep idle connections, and Node.js would wait for their end.
        var (code, output) = await RunAsync("node", ["--test", "--test-force-exit", "--test-reporter=spec", file], variables, cancellationToken);
        TestContext.Current.TestOutputHelper?.WriteLine(output);
        Assert.True(code == 0, output);
    }

    /// <summary>Installs what the lock file names.</summary>
    /// <returns>Why it cannot be, or <see langword="null"/>.</returns>
    private static async Task<string?> InstallAsync()
    {
        try
        {
            var (_, version) = await RunAsync("node", ["--version"], new Dictionary<string, string>(), CancellationToken.None);
            if (!Version.TryParse(version.Trim().TrimStart('v'), out var node) || node < new Version(20, 18, 1))
            {
                return $"Node.js 20.18.1 or newer is needed, and this is {version.Trim()}.";
            }

            // What npm leaves behind at the end tells which lock file it followed.
            var stamp = Path.Combine(Folder, "node_modules", ".package-lock.json");
            if (File.Exists(stamp) && File.GetLastWriteTimeUtc(stamp) >= File.GetLastWriteTimeUtc(Path.Combine(Folder, "package-lock.json")))
            {
                return null;
            }

            var (code, output) = await RunAsync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], new Dictionary<string, string>(), CancellationToken.None);
            return code switch
            {
                0 => null,
                _ when Unreachable.Any(output.Contains) => $"The SDKs cannot be installed, for npm reaches no registry: {output}",
                _ => throw new InvalidOperationException($"npm ci failed: {output}"),
            };
        }
        catch (Win32Exception error)
        {
            return $"Node.js and npm are needed, and were not found: {error.Message}";
        }
    }

    private static async Task<(int Code, string Output)> RunAsync(string program, IReadOnlyList<string> arguments, IReadOnlyDictionary<string, string> variables, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(program, arguments) { WorkingDirectory = Folder, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in variables)
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start)!;
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
            var errors = process.StandardError.ReadToEndAsync(cancellationToken);
            await process.WaitForExitAsync(cancellationToken).WaitAsync(TimeSpan.FromMinutes(5), cancellationToken);
            return (process.ExitCode, await output + await errors);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
    }

    private static string FindFolder()
    {
        for (var directory = new DirectoryInfo(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            var folder = Path.Combine(directory.FullName, "tests", "sdk-conformance");
            if (Directory.Exists(folder))
            {
                return folder;
            }
        }

        throw new DirectoryNotFoundException("tests/sdk-conformance is not above the tests.");
    }
}
