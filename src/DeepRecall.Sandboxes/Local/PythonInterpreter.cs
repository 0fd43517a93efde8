using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Local;

/// <summary>The real Python interpreter, behind whatever shim or link the name on <c>PATH</c> is.</summary>
/// <param name="Executable">The interpreter's own path.</param>
/// <param name="Version">Its version.</param>
internal sealed record PythonInterpreter(string Executable, Version Version)
{
    private static readonly Version Oldest = new(3, 9);
    private static readonly TimeSpan ProbeTimeout = TimeSpan.FromSeconds(15);
    private static readonly string[][] UsualNames = [["python3"], ["python"], ["py", "-3"]];

    public static async Task<PythonInterpreter> FindAsync(string? pythonPath)
    {
        List<string> tried = [];
        foreach (var command in pythonPath is null ? UsualNames : [[pythonPath]])
        {
            var (found, failure) = await ProbeAsync(command).ConfigureAwait(false);
            if (found is not null)
            {
                return found;
            }

            tried.Add($"{string.Join(' ', command)} ({failure})");
        }

        throw new SandboxException(
            $"The local environment needs Python {Oldest} or newer, and none was found. Tried: {string.Join(", ", tried)}. "
            + $"Install Python 3, or set {nameof(LocalSandboxOptions)}.{nameof(LocalSandboxOptions.PythonPath)} to an interpreter.");
    }

    private static async Task<(PythonInterpreter? Found, string? Failure)> ProbeAsync(string[] command)
    {
        var start = new ProcessStartInfo(command[0])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            UseShellExecute = false,
            CreateNoWindow = true,
        };
        foreach (var argument in (string[])[.. command[1..], "-I", "-S", "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3]); print(sys.executable)"])
        {
            start.ArgumentList.Add(argument);
        }

        Process? process;
        try
        {
            process = Process.Start(start);
        }
        catch (Exception error) when (error is Win32Exception or IOException or UnauthorizedAccessException)
        {
            return (null, error is Win32Exception { NativeErrorCode: 2 } ? "not found" : error.Message);
        }

        using (process)
        {
            process!.StandardInput.Close();
            using var timeout = new CancellationTokenSource(ProbeTimeout);
            try
            {
                var output = process.StandardOutput.ReadToEndAsync(timeout.Token);
                var errors = process.StandardError.ReadToEndAsync(timeout.Token);
                await process.WaitForExitAsync(timeout.Token).ConfigureAwait(false);
                return Read(await output.ConfigureAwait(false), await errors.ConfigureAwait(false), process.ExitCode);
            }
            catch (OperationCanceledException)
            {
                process.Kill(entireProcessTree: true);
                return (null, $"no answer within {ProbeTimeout.TotalSeconds:0} seconds");
            }
        }
    }

    private static (PythonInterpreter? Found, string? Failure) Read(string output, string errors, int exitCode)
    {
        var lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (exitCode != 0 || lines.Length < 2 || !Version.TryParse(lines[0], out var version))
        {
            var said = errors.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).LastOrDefault();
            return (null, string.Create(CultureInfo.InvariantCulture, $"exit code {exitCode}{(said is null ? string.Empty : $": {said}")}"));
        }

        return version < Oldest
            ? (null, $"version {version} is too old")
            : (new PythonInterpreter(lines[1], version), null);
    }
}
