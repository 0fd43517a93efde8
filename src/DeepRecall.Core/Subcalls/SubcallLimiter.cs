namespace DeepRecall.Subcalls;

/// <summary>Bounds what a request has under way at one time, over all its depths.</summary>
/// <remarks>
/// Model calls share one bound. Child runs have one for each depth: a child holds its place while its own children run, so a bound
/// across depths could lock itself; with one for each depth a run waits only for deeper ones, and the deepest wait for none.
/// </remarks>
internal sealed class SubcallLimiter : IDisposable
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

    public void Dispose()
    {
        _calls.Dispose();
        Array.ForEach(_children, place => place.Dispose());
    }

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
