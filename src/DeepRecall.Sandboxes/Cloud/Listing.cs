namespace DeepRecall.Sandboxes.Cloud;

/// <summary>What a service lists, page by page.</summary>
/// <param name="idOf">The id of an entry.</param>
internal sealed class Listing<T>(Func<T, string> idOf)
{
    private readonly Dictionary<string, T> _found = new(StringComparer.Ordinal);

    public IEnumerable<T> Found => _found.Values;

    /// <summary>Adds a page.</summary>
    /// <returns>Whether there was anything new in it; from a service that begins again at its first page nothing new comes any more.</returns>
    public bool Add(IEnumerable<T> page)
    {
        var before = _found.Count;
        foreach (var entry in page)
        {
            _found[idOf(entry)] = entry;
        }

        return _found.Count > before;
    }
}
