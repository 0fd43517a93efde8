using System.Diagnostics;
using System.Text;

namespace Quickstart.Tests;

/// <summary>The example as its user runs it: a process, with a temporary directory of its own and no provider but those that a test sets.</summary>
internal sealed class QuickstartProcess : IAsyncDisposable
{
    private static readonly string[] ProviderPrefixes = ["OPENAI_", "OLLAMA_", "DeepRecall__", "NO_COLOR"];

    private readonly Process _process;
    private readonly DirectoryInfo _temporary = Directory.CreateTempSubdirectory("quickstart-tests-");
    private readonly StringBuilder _output = new();
    private readonly TaskCompletionSource _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _reading;
    private readonly Task<string> _errors;

    private QuickstartProcess(IReadOnlyList<string> command, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment)
    {
        var start = new ProcessStartInfo(command[0])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            WorkingDirectory = _temporary.FullName,
        };
        foreach (var argument in command.Skip(1).Append(BuildPaths.Quickstart).Concat(arguments))
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var name in start.Environment.Keys.Where(name => ProviderPrefixes.Any(prefix => name.StartsWith(prefix, StringComparison.OrdinalIgnoreCase))).ToArray())
        {
            start.Environment.Remove(name);
        }

        start.Environment["TMPDIR"] = start.Environment["TMP"] = start.Environment["TEMP"] = _temporary.FullName;
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        _process = Process.Start(start)!;
        _reading = ReadOutputAsync();
        _errors = _process.StandardError.ReadToEndAsync();
    }

    /// <summary>Gets a task that ends when the question was printed: from then on Ctrl+C is the program's own.</summary>
    public Task Asked => _asked.Task;

    public int Id => _process.Id;

    public StreamWriter Input => _process.StandardInput;

    private static string DotNet => Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";

    public static QuickstartProcess Start(IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null) => new([DotNet], arguments, environment);

    /// <summary>Starts it so that Ctrl+C reaches it, also where the tests run in the background, as a shell starts such programs with SIGINT ignored.</summary>
    public static QuickstartProcess StartInterruptible(IEnumerable<string> arguments) =>
        new(["python3", "-c", "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])", DotNet], arguments, environment: null);

    public static async Task<QuickstartResult> RunAsync(IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null, string? input = null)
    {
        await using var process = Start(arguments, environment);
        if (input is not null)
        {
            await process.Input.WriteAsync(input);
        }

        process.Input.Close();
        return await process.EndAsync();
    }

    public async Task<QuickstartResult> EndAsync()
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        timeout.CancelAfter(TimeSpan.FromMinutes(4));
        await _process.WaitForExitAsync(timeout.Token);
        await _reading;
        var left = _temporary.EnumerateFileSystemInfos().Where(entry => !entry.Name.StartsWith("clr-debug-pipe", StringComparison.Ordinal) && !entry.Name.StartsWith("dotnet-diagnostic", StringComparison.Ordinal));
        return new QuickstartResult(_process.ExitCode, _output.ToString(), await _errors, [.. left.Select(entry => entry.Name)]);
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
        _temporary.Delete(recursive: true);
    }

    private async Task ReadOutputAsync()
    {
        var buffer = new char[4096];
        while (await _process.StandardOutput.ReadAsync(buffer) is > 0 and var count)
        {
            _output.Append(buffer, 0, count);
            if (!_asked.Task.IsCompleted && _output.ToString().Contains("\nQuestion: ", StringComparison.Ordinal))
            {
                _asked.SetResult();
            }
        }

        _asked.TrySetResult();
    }
}

/// <summary>What a run of the example gave.</summary>
/// <param name="ExitCode">The exit code.</param>
/// <param name="Output">Standard output.</param>
/// <param name="Errors">Standard error.</param>
/// <param name="LeftBehind">What is still in its temporary directory.</param>
internal sealed record QuickstartResult(int ExitCode, string Output, string Errors, IReadOnlyList<string> LeftBehind)
{
    /// <summary>Gets what stands under the heading of the answer.</summary>
    public string Answer => Output[(Output.IndexOf("\nAnswer\n", StringComparison.Ordinal) + 8)..];

    public string ErrorLine => Assert.Single(Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries));
}
