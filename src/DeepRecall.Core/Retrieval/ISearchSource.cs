namespace DeepRecall.Retrieval;

/// <summary>An index that code in the REPL can search with <c>search_db</c>, such as a vector database.</summary>
/// <remarks>Implementations are thread-safe: a cell may search from many threads.</remarks>
public interface ISearchSource
{
    /// <summary>Searches.</summary>
    /// <param name="request">What for. It comes from model code: the source decides what may be found.</param>
    /// <param name="cancellationToken">Ends the search.</param>
    /// <returns>What was found, the best first; at most <see cref="SearchRequest.TopK"/> entries are taken.</returns>
    Task<IReadOnlyList<SearchResult>> SearchAsync(SearchRequest request, CancellationToken cancellationToken);
}
