namespace DeepRecall.Sandboxes.Tests.Local;

/// <summary>The processes of this machine, as a test sees them.</summary>
internal static class LocalProcesses
{
    public static bool IsAlive(int processId)
    {
        try
        {
            // A zombie has ended; only nobody has asked how.
            return !File.ReadAllText($"/proc/{processId}/stat").Contains(") Z ", StringComparison.Ordinal);
        }
        catch (IOException)
        {
            return false;
        }
    }

    public static async Task WaitForEndAsync(int processId)
    {
        for (var attempt = 0; attempt < 200 && IsAlive(processId); attempt++)
        {
            await Task.Delay(50, TestContext.Current.CancellationToken);
        }

        Assert.False(IsAlive(processId), $"process {processId} is alive");
    }
}
