namespace DeepRecall.Sandboxes.Cloud;

/// <summary>How the worker is started in a sandbox that has a shell and Python.</summary>
internal static class CloudWorker
{
    public const string Module = "deeprecall_worker";

    /// <summary>The worker's file, in a directory of its own beside the uploads.</summary>
    public const string FileName = $"{Module}.py";

    // Imported and not run, as the local environment does it, so that nothing but the REPL is __main__.
    private const string Bootstrap = $"import sys; sys.path.append(sys.argv[1]); import {Module} as w; del sys.path[-1]; w.main(sys.argv[2])";

    /// <summary>Python's arguments.</summary>
    /// <param name="directory">The directory that holds the worker.</param>
    /// <param name="nonce">What the worker repeats when it is ready.</param>
    public static string[] Arguments(string directory, string nonce) => ["-u", "-X", "utf8", "-c", Bootstrap, directory, nonce];

    /// <summary>A command line for a POSIX shell that becomes the worker.</summary>
    public static string CommandLine(string directory, string nonce) =>
        $"exec python3 {string.Join(' ', Arguments(directory, nonce).Select(Quote))}";

    /// <summary>Quotes a word for a POSIX shell.</summary>
    public static string Quote(string word) => $"'{word.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}
