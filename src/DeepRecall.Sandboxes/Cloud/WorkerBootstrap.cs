using System.Globalization;
using System.Text;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Cloud;

/// <summary>
/// Starts the worker in a place that has nothing but Python: a short program, given on the command line, that makes a working directory,
/// says where it is, reads the worker from its standard input, says that again, and becomes it.
/// </summary>
/// <remarks>
/// So one command starts a worker, with no upload before it. Behind a terminal the program switches the terminal to raw mode before it says
/// anything: what is written to it only after it has spoken arrives as it was written.
/// </remarks>
internal static class WorkerBootstrap
{
    private const int MaxNoise = 256 * 1024;

    private static readonly string Program = ReadProgram();

    /// <summary>The command, as its arguments.</summary>
    public static IReadOnlyList<string> Command(SandboxStartRequest request) =>
        ["python3", "-I", "-X", "utf8", "-c", Program, request.Nonce, Encoding.UTF8.GetByteCount(request.WorkerSource).ToString(CultureInfo.InvariantCulture)];

    /// <summary>The command as one line for a POSIX shell: no line feed, and no character that an interactive shell expands.</summary>
    /// <param name="nonce">The worker's argument.</param>
    /// <param name="sources">What the program is sent: the worker, then whatever runs before the worker does.</param>
    public static string CommandLine(string nonce, params IEnumerable<byte[]> sources)
    {
        var literal = Program.Replace("\\", @"\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal).Replace("'", "\\x27", StringComparison.Ordinal);
        return string.Create(CultureInfo.InvariantCulture, $"python3 -I -X utf8 -c 'exec(\"{literal}\")' {nonce} {string.Join(' ', sources.Select(source => source.Length))}");
    }

    /// <summary>Reads what the program says about itself, and not a byte more; what comes before it (a banner, an echo) is skipped.</summary>
    /// <returns>What it said, or <see langword="null"/> when the stream ended before.</returns>
    /// <exception cref="SandboxException">There is nothing but noise.</exception>
    public static async Task<WorkerPlace?> ReadPlaceAsync(Stream output, string nonce, CancellationToken cancellationToken)
    {
        // Reversed, so that an echo of the command line is not taken for it.
        var mark = new string([.. nonce.Reverse()]) + " ";
        var line = new List<byte>(128);
        var next = new byte[1];
        for (var count = 0; count < MaxNoise; count++)
        {
            if (await output.ReadAsync(next, cancellationToken).ConfigureAwait(false) == 0)
            {
                return null;
            }

            if (next[0] != '\n')
            {
                line.Add(next[0]);
                continue;
            }

            var text = Encoding.UTF8.GetString([.. line]);
            line.Clear();
            if (text.StartsWith(mark, StringComparison.Ordinal) && Parse(text[mark.Length..]) is { } place)
            {
                return place;
            }
        }

        throw new SandboxException($"The sandbox wrote {MaxNoise:N0} bytes, and none of them said that Python had started.");
    }

    private static WorkerPlace? Parse(string text)
    {
        var space = text.IndexOf(' ', StringComparison.Ordinal);
        return space > 0 && int.TryParse(text.AsSpan(0, space), NumberStyles.None, CultureInfo.InvariantCulture, out var processId)
            ? new WorkerPlace(processId, text[(space + 1)..])
            : null;
    }

    private static string ReadProgram()
    {
        using var stream = typeof(WorkerBootstrap).Assembly.GetManifestResourceStream("bootstrap.py")!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().ReplaceLineEndings("\n");
    }
}

/// <summary>Where a worker runs.</summary>
/// <param name="ProcessId">Its process in the sandbox.</param>
/// <param name="Directory">Its working directory in the sandbox.</param>
internal sealed record WorkerPlace(int ProcessId, string Directory);
