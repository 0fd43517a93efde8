using System.Collections.Concurrent;
using System.Text;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxing;
using Xunit;

namespace DeepRecall.Testing;

/// <summary>A local sandbox that remembers what it started, below a scratch root of its own by which its processes are known.</summary>
public sealed class RecordingSandbox : ISandbox, IDisposable
{
    private readonly ConcurrentQueue<ISandboxProcess> _processes = new();
    private readonly LocalSandbox _inner;
    private readonly string _root = Directory.CreateTempSubdirectory("deeprecall-test-").FullName;

    public RecordingSandbox() => _inner = new LocalSandbox(new LocalSandboxOptions { ScratchRoot = _root });

    public string Name => _inner.Name;

    public string Description => _inner.Description;

    /// <summary>How many processes were started.</summary>
    public int Starts => _processes.Count;

    /// <summary>How many of them have not ended.</summary>
    public int Running => _processes.Count(process => !process.Exited.IsCompleted);

    public async Task<ISandboxProcess> StartAsync(SandboxStartRequest request, CancellationToken cancellationToken)
    {
        var process = await _inner.StartAsync(request, cancellationToken);
        _processes.Enqueue(process);
        return process;
    }

    /// <summary>Fails unless every process has ended and nothing of it is left.</summary>
    public async Task AssertNothingLeftAsync(CancellationToken cancellationToken)
    {
        await Task.WhenAll(_processes.Select(process => process.Exited)).WaitAsync(TimeSpan.FromSeconds(10), cancellationToken);
        if (OperatingSystem.IsLinux())
        {
            Assert.Empty(Directory.EnumerateDirectories("/proc").Select(CommandLine).Where(line => line.Contains(_root, StringComparison.Ordinal)));
        }

        Assert.Empty(Directory.EnumerateDirectories(_root, "scratch-*", SearchOption.AllDirectories));
    }

    public void Dispose()
    {
        try
        {
            Directory.Delete(_root, recursive: true);
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
            return Encoding.UTF8.GetString(File.ReadAllBytes(Path.Combine(process, "cmdline")));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return string.Empty;
        }
    }
}
