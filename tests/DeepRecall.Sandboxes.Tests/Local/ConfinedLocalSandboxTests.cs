using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxing;
using DeepRecall.Trajectory;

namespace DeepRecall.Sandboxes.Tests.Local;

/// <summary>The local environment confined in full, but for processes, which some behaviours are about.</summary>
public sealed class ConfinedLocalSandboxTests : ReplBehaviours
{
    protected override ISandbox CreateSandbox() => new LocalSandbox(new LocalSandboxOptions { Isolation = LocalIsolation.Required, AllowSubprocesses = true });

    /// <summary>The locks of such a pool are shared memory, which confined code has not.</summary>
    public override async Task PoolOfProcesses_DoesNotConfuseTheProtocol()
    {
        await using var repl = await StartAsync();
        var result = await repl.RunAsync("import multiprocessing\nmultiprocessing.get_context('fork').Pool(2)");
        Assert.Equal((CellStatus.Error, "PermissionError"), (result.Status, result.ErrorType));
        Assert.Equal("next\n", await repl.PrintAsync("print('next')"));
    }
}
