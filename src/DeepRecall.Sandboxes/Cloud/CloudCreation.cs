using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Cloud;

/// <summary>Waits for a sandbox to be created, so that none is left behind by a caller who does not wait, or by an answer that was lost.</summary>
internal static class CloudCreation
{
    /// <param name="creating">The creation, which the caller's token does not end: what was asked for may be created all the same.</param>
    /// <param name="delete">Deletes what was created for nobody.</param>
    /// <param name="sweep">Deletes what may have been created without an answer that tells its id.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public static async Task<T> WaitAsync<T>(Task<T> creating, Func<T, Task> delete, Func<Task> sweep, CancellationToken cancellationToken)
    {
        try
        {
            return await creating.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            _ = DeleteWhenCreatedAsync(creating, delete, sweep);
            throw;
        }
        catch (SandboxException error) when (IsUncertain(error))
        {
            await sweep().WaitAsync(cancellationToken).ConfigureAwait(false);
            throw;
        }
    }

    private static async Task DeleteWhenCreatedAsync<T>(Task<T> creating, Func<T, Task> delete, Func<Task> sweep)
    {
        try
        {
            await delete(await creating.ConfigureAwait(false)).ConfigureAwait(false);
        }
        catch (SandboxException error)
        {
            if (IsUncertain(error))
            {
                await sweep().ConfigureAwait(false);
            }
        }
    }

    private static bool IsUncertain(SandboxException error) =>
        error.Kind is SandboxErrorKind.Connection or SandboxErrorKind.Timeout or SandboxErrorKind.Server or SandboxErrorKind.Other;
}
