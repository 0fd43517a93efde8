using System.Text;

namespace DeepRecall.Sandboxes.Local;

/// <summary>
/// Reads a process's standard error: one line in which it says how it is confined, and what else comes. The worker points its own
/// standard error elsewhere, so all of this is from before it was ready, and the rest is a reason not to have become so.
/// </summary>
internal sealed class StartupOutput
{
    private const string Report = "deeprecall-confinement: ";
    private const int MaxText = 4_000;
    private const int MaxLine = 16_000;

    private readonly TaskCompletionSource<string?> _report = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly StringBuilder _text = new();

    public StartupOutput(Stream stream) => Text = ReadAsync(stream);

    /// <summary>Gets what the process reported as JSON; <see langword="null"/> when it ended without a report.</summary>
    public Task<string?> Confinement => _report.Task;

    /// <summary>Gets all the rest, when the stream has ended.</summary>
    public Task<string> Text { get; }

    private async Task<string> ReadAsync(Stream stream)
    {
        try
        {
            using var reader = new StreamReader(stream, new UTF8Encoding(false));
            var line = new StringBuilder();
            var buffer = new char[1024];
            int read;
            while ((read = await reader.ReadAsync(buffer).ConfigureAwait(false)) > 0)
            {
                for (var index = 0; index < read; index++)
                {
                    if (buffer[index] == '\n')
                    {
                        Take(line);
                    }
                    else if (line.Length < MaxLine)
                    {
                        line.Append(buffer[index]);
                    }
                }
            }

            Take(line);
        }
        catch (Exception error) when (error is IOException or ObjectDisposedException)
        {
            // The process was ended under it.
        }

        _report.TrySetResult(null);
        return _text.ToString().Trim();
    }

    private void Take(StringBuilder line)
    {
        var text = line.ToString();
        line.Clear();
        if (!_report.Task.IsCompleted && text.StartsWith(Report, StringComparison.Ordinal))
        {
            _report.TrySetResult(text[Report.Length..]);
        }
        else if (_text.Length < MaxText)
        {
            _text.Append(text).Append('\n');
        }
    }
}
