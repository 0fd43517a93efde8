using DeepRecall.Diagnostics;

namespace DeepRecall.Sandboxing;

/// <summary>A process that was started before there was a request for it.</summary>
internal sealed class PooledProcess(ISandboxProcess inner, string nonce, long since, string environment) : ISandboxProcess
{
    private int _hasLeft;

    public event EventHandler Resumed
    {
        add => inner.Resumed += value;
        remove => inner.Resumed -= value;
    }

    /// <summary>The timestamp since when it is ready.</summary>
    public long Since => since;

    public string? Nonce => inner.Nonce ?? nonce;

    public Stream Input => inner.Input;

    public Stream Output => inner.Output;

    public Task<SandboxExit> Exited => inner.Exited;

    public SandboxIsolation? Isolation => inner.Isolation;

    public Task<string> UploadAsync(string name, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken) =>
        inner.UploadAsync(name, write, cancellationToken);

    public Task SealAsync(CancellationToken cancellationToken) => inner.SealAsync(cancellationToken);

    public Task<bool> InterruptAsync(CancellationToken cancellationToken) => inner.InterruptAsync(cancellationToken);

    public Task KillAsync(CancellationToken cancellationToken) => inner.KillAsync(cancellationToken);

    /// <summary>Enters the pool: it counts as idle until it leaves it or ends.</summary>
    public PooledProcess Enter()
    {
        Telemetry.PoolIdleChanged(environment, 1);
        return this;
    }

    /// <summary>Leaves the pool; once is enough.</summary>
    public void Leave()
    {
        if (Interlocked.Exchange(ref _hasLeft, 1) == 0)
        {
            Telemetry.PoolIdleChanged(environment, -1);
        }
    }

    public ValueTask DisposeAsync()
    {
        Leave();
        return inner.DisposeAsync();
    }
}
