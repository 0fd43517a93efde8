using DeepRecall.Sandboxes.Docker;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Tests.Docker;

/// <summary>Every behaviour of a REPL, in a container of a real engine; and after each, nothing is left.</summary>
public sealed class DockerReplTests : ReplBehaviours, IAsyncDisposable
{
    private readonly string _mark = Guid.NewGuid().ToString("N");
    private DockerSandbox? _sandbox;

    public async ValueTask DisposeAsync()
    {
        if (_sandbox is not null)
        {
            await TestEngine.AssertNothingLeftAsync(_mark);
        }
    }

    protected override Task AssertNothingLeftAsync() => TestEngine.AssertNothingLeftAsync(_mark);

    protected override ISandbox CreateSandbox() => _sandbox = new DockerSandbox(TestEngine.Options(_mark));

    /// <summary>A process of a container is seen from here only as its container.</summary>
    protected override async ValueTask<bool> IsAliveAsync(int processId) => (await TestEngine.ContainersAsync(_mark)).Any(container => container.State == "running");
}
