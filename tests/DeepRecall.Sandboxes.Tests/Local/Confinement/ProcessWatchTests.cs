using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxes.Local.Confinement;

namespace DeepRecall.Sandboxes.Tests.Local.Confinement;

public sealed class ProcessWatchTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task ProcessThatCannotBeEnded_IsNotTheHostsEnd_AndIsTriedAgain()
    {
        // This process has more threads than that. What a timer's callback throws would end it.
        var settings = ConfinementSettings.From(new LocalSandboxOptions { ThreadLimit = 8 });
        var tried = new CountdownEvent(2);
        using var watch = new ProcessWatch(Environment.ProcessId, Path.GetTempPath(), settings, _ =>
        {
            if (!tried.IsSet)
            {
                tried.Signal();
            }

            throw new InvalidOperationException("it is disposed");
        });
        Assert.True(await Task.Run(() => tried.Wait(TimeSpan.FromSeconds(30), Token), Token));
    }
}
