using System.Collections.Concurrent;
using System.Diagnostics;
using DeepRecall.Sandboxing;

namespace DeepRecall.Tests.Sandboxing;

/// <summary>An environment in which nothing runs, and which remembers what was asked of it.</summary>
internal sealed class FakeSandbox(int defaultPoolSize = 0) : ISandbox
{
    private readonly ConcurrentQueue<FakeProcess> _started = new();

    public string Name { get; init; } = "fake";

    public string Description => "Nothing runs here.";

    public int DefaultPoolSize => defaultPoolSize;

    public IReadOnlyCollection<FakeProcess> Started => _started;

    /// <summary>What every start waits for.</summary>
    public Task Gate { get; set; } = Task.CompletedTask;

    /// <summary>Whether a start that waits ends with its token.</summary>
    public bool HeedsToken { get; init; } = true;

    public Exception? Failure { get; set; }

    public async Task<ISandboxProcess> StartAsync(SandboxStartRequest request, CancellationToken cancellationToken)
    {
        await Gate.WaitAsync(HeedsToken ? cancellationToken : CancellationToken.None);
        if (Failure is not null)
        {
            throw Failure;
        }

        var process = new FakeProcess(request);
        _started.Enqueue(process);
        return process;
    }

    internal sealed class FakeProcess(SandboxStartRequest request) : ISandboxProcess
    {
        private readonly TaskCompletionSource<SandboxExit> _exited = new();

        public event EventHandler? Resumed;

        public SandboxStartRequest Request => request;

        /// <summary>What was current when it was started.</summary>
        public Activity? StartedIn { get; } = Activity.Current;

        public int Disposals { get; private set; }

        public Stream Input => Stream.Null;

        public Stream Output => Stream.Null;

        public Task<SandboxExit> Exited => _exited.Task;

        public SandboxIsolation? Isolation { get; } = new() { Parts = [new SandboxIsolationPart("everything", true, "nothing runs")] };

        public bool IsSealed { get; private set; }

        public Exception? DisposeFailure { get; set; }

        public Task<string> UploadAsync(string name, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken) => Task.FromResult($"/fake/{name}");

        public Task SealAsync(CancellationToken cancellationToken)
        {
            IsSealed = true;
            return Task.CompletedTask;
        }

        public Task<bool> InterruptAsync(CancellationToken cancellationToken) => Task.FromResult(true);

        public Task KillAsync(CancellationToken cancellationToken)
        {
            _exited.TrySetResult(new SandboxExit(null, 9));
            return Task.CompletedTask;
        }

        public void Resume() => Resumed?.Invoke(this, EventArgs.Empty);

        public ValueTask DisposeAsync()
        {
            Disposals++;
            _exited.TrySetResult(new SandboxExit(0));
            return DisposeFailure is null ? ValueTask.CompletedTask : ValueTask.FromException(DisposeFailure);
        }
    }
}
