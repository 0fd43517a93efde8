using System.Diagnostics.CodeAnalysis;

namespace DeepRecall.Subcalls;

/// <summary>Bounds what a request has under way at one time, over all its depths.</summary>
/// <remarks>
/// Model calls share one bound. Child runs have one for each depth: a child holds its place while its own children run, so a bound
/// across depths could lock itself; with one for each depth a run waits only for deeper ones, and the deepest wait for none.
/// </remarks>
[SuppressMessage("Design", "CA1001", Justification = "A call that was cancelled may give its place back late; the semaphores hold nothing that needs an end.")]
internal sealed class SubcallLimiter
{
    private readonly SemaphoreSlim _calls;
    private readonly SemaphoreSlim[] _children;

    public SubcallLimiter(int places, int depths)
    {
        _calls = new SemaphoreSlim(places, places);
        _children = [.. Enumerable.Range(0, depths).Select(_ => new SemaphoreSlim(places, places))];
    }

    public Task<T> CallModelAsync<T>(Func<Task<T>> call, CancellationToken cancellationToken) =>
        RunAsync(_calls, call, cancellationToken);

    public Task<T> RunChildAsync<T>(int depth, Func<Task<T>> run, CancellationToken cancellationToken) =>
        RunAsync(_children[depth], run, cancellationToken);

    private static async Task<T> RunAsync<T>(SemaphoreSlim places, Func<Task<T>> run, CancellationToken cancellationToken)
    {
        await places.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return await run().ConfigureAwait(false);
        }
        finally
        {
            places.Release();
        }
    }
}
