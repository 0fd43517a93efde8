using System.Collections.Concurrent;
using System.Text;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxing;
using Xunit;

namespace DeepRecall.Testing;

/// <summary>A local sandbox that remembers what it started, below a scratch root of its own by which its processes are known.</summary>
public sealed class RecordingSandbox : ISandbox, IDisposable
{
    private readonly ConcurrentQueue<RecordedProcess> _processes = new();
    private readonly LocalSandbox _inner;
    private readonly string _root = Directory.CreateTempSubdirectory("deeprecall-test-").FullName;

    public RecordingSandbox() => _inner = new LocalSandbox(new LocalSandboxOptions { ScratchRoot = _root });

    public string Name => _inner.Name;

    public string Description => _inner.Description;

    /// <summary>How many processes were started.</summary>
    public int Starts => _processes.Count;

    /// <summary>The end of the first process.</summary>
    public Task FirstExited => _processes.First().Exited;

    /// <summary>How many of them are not disposed to the end.</summary>
    public int Undisposed => _processes.Count(process => !process.IsDisposed);

    /// <summary>How much longer it takes to dispose any process but the first, as it does in environments far away.</summary>
    public TimeSpan ChildDisposeDelay { get; init; }

    public async Task<ISandboxProcess> StartAsync(SandboxStartRequest request, CancellationToken cancellationToken)
    {
        var process = new RecordedProcess(await _inner.StartAsync(request, cancellationToken), _processes.IsEmpty ? TimeSpan.Zero : ChildDisposeDelay);
        _processes.Enqueue(process);
        return process;
    }

    /// <summary>Fails unless every process has ended and nothing of it is left.</summary>
    public async Task AssertNothingLeftAsync(CancellationToken cancellationToken)
    {
        await Task.WhenAll(_processes.Select(process => process.Exited)).WaitAsync(TimeSpan.FromSeconds(10), cancellationToken);
        var deadline = Environment.TickCount64 + 10_000;
        while (Left().Any() && Environment.TickCount64 < deadline)
        {
            await Task.Delay(20, cancellationToken);
        }

        Assert.Empty(Left());
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

    private IEnumerable<string> Left()
    {
        var scratches = Directory.EnumerateDirectories(_root, "scratch-*", SearchOption.AllDirectories);
        return !OperatingSystem.IsLinux()
            ? scratches
            : scratches.Concat(Directory.EnumerateDirectories("/proc").Select(CommandLine).Where(line => line.Contains(_root, StringComparison.Ordinal)));
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

    private sealed class RecordedProcess(ISandboxProcess inner, TimeSpan disposeDelay) : ISandboxProcess
    {
        public bool IsDisposed { get; private set; }

        public Stream Input => inner.Input;

        public Stream Output => inner.Output;

        public Task<SandboxExit> Exited => inner.Exited;

        public SandboxIsolation? Isolation => inner.Isolation;

        public Task<string> UploadAsync(string name, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken) =>
            inner.UploadAsync(name, write, cancellationToken);

        public Task SealAsync(CancellationToken cancellationToken) => inner.SealAsync(cancellationToken);

        public Task<bool> InterruptAsync(CancellationToken cancellationToken) => inner.InterruptAsync(cancellationToken);

        public Task KillAsync(CancellationToken cancellationToken) => inner.KillAsync(cancellationToken);

        public async ValueTask DisposeAsync()
        {
            await inner.DisposeAsync();
            await Task.Delay(disposeDelay, CancellationToken.None);
            IsDisposed = true;
        }
    }
}
