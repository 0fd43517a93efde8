using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Tests.Cuts;

/// <summary>A local sandbox behind a connection that can be cut: what is on its way while it is down is lost, in both directions.</summary>
internal sealed class CutSandbox : ISandbox
{
    private readonly LocalSandbox _inner = new();

    public string Name => "cut";

    public string Description => _inner.Description;

    public CutProcess? Process { get; private set; }

    /// <summary>Whether the connection is down when a process has just been started.</summary>
    public bool StartsDetached { get; init; }

    public async Task<ISandboxProcess> StartAsync(SandboxStartRequest request, CancellationToken cancellationToken)
    {
        Process = new CutProcess(await _inner.StartAsync(request, cancellationToken));
        if (StartsDetached)
        {
            Process.Cut(0, 0);
        }

        return Process;
    }
}
