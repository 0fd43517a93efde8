using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Cloud;

/// <summary>Deletes sandboxes that nobody wants any more.</summary>
internal static class CloudDeletion
{
    /// <summary>How long one attempt may take: one that hangs leaves time for another.</summary>
    public static readonly TimeSpan Attempt = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(25);

    /// <summary>Deletes a sandbox. Never throws: when the service cannot be reached, the sandbox ends by its own time limit.</summary>
    /// <param name="delete">Deletes it.</param>
    /// <param name="host">Clock and log.</param>
    /// <param name="environment">The environment's name.</param>
    /// <param name="sandbox">The sandbox's id.</param>
    public static async Task DiscardAsync(Func<CancellationToken, Task> delete, CloudHost host, string environment, string sandbox)
    {
        using var limit = new CancellationTokenSource(Limit, host.Time);
        try
        {
            await delete(limit.Token).ConfigureAwait(false);
        }
        catch (Exception error) when (error is SandboxException or OperationCanceledException)
        {
            CloudLog.NotDeleted(host.Logger, environment, sandbox, error.Message);
        }
    }
}
