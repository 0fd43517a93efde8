using System.Collections.Concurrent;
using System.Text.Json;
using DeepRecall.Retrieval;
using DeepRecall.Testing;

namespace DeepRecall.Tests.Retrieval;

public sealed class SearchTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Search_GivesDictsInTheOrderOfTheSource()
    {
        var source = new ListSource(
            new SearchResult("first", 0.75, "id-1") { Metadata = new Dictionary<string, object?> { ["year"] = 2024, ["draft"] = false, ["rate"] = 0.5, ["none"] = null, ["when"] = new DateOnly(2024, 2, 29), ["tag"] = "ä", ["json"] = JsonDocument.Parse("[1]").RootElement } },
            new SearchResult("second", double.NaN),
            new SearchResult("third", 0.1));
        var result = await RunAsync(source, "for r in search_db('herons', top_k=2, filters={'year': 2024, 'draft': False, 'tag': None}): print(r)");

        Assert.Equal(
            "{'content': 'first', 'score': 0.75, 'id': 'id-1', 'metadata': {'year': 2024, 'draft': False, 'rate': 0.5, 'none': None, 'when': '2024-02-29', 'tag': 'ä', 'json': [1]}}\n"
            + "{'content': 'second', 'score': None, 'id': None, 'metadata': {}}\n",
            result.Output);
        var request = source.Requests.First();
        Assert.Equal(("herons", 2), (request.Query, request.TopK));
        Assert.Equal("""year=2024; draft=false; tag=null""", string.Join("; ", request.Filters.Select(filter => $"{filter.Key}={filter.Value.GetRawText()}")));
        Assert.Equal(("search_db", null, false), (result.Subcalls[0].Function, result.Subcalls[0].Model, result.Subcalls[0].IsError));
    }

    [Theory]
    [InlineData("search_db('')", "query must be a str that is not blank")]
    [InlineData("search_db(5)", "query must be a str that is not blank, not a number")]
    [InlineData("search_db('q', top_k=0)", "top_k is 0; it must be a whole number from 1 to 1,000")]
    [InlineData("search_db('q', top_k=2.5)", "top_k is 2.5; it must be")]
    [InlineData("search_db('q', filters=[1])", "filters must be a dict, not this list")]
    [InlineData("search_db('fail')", "the index is down")]
    public async Task SearchThatFails_RaisesItsMessage(string call, string message)
    {
        var result = await RunAsync(new ListSource(), $"try:\n    {call}\nexcept Exception as e:\n    print(e)");
        Assert.StartsWith(message, result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Searches_AreCountedOverTheTree()
    {
        var source = new ListSource(new SearchResult("x", 1));
        var result = await new Plan(() => new ScriptedChatClient(request =>
            request.FirstText.Contains("child task", StringComparison.Ordinal) ? Script.Answer("len(search_db('a')) + len(search_db('b'))")
            : request.Turn == 0 ? Script.Code("print(rlm_query('child task'))\nsearch_db('c')") : Script.Answer("1")))
        {
            Configure = options =>
            {
                options.MaxDepth = 2;
                options.SearchSource = source;
                options.MaxSearchCalls = 2;
            },
        }.RunAsync(Token);

        Assert.Equal("2\n", result.Output);
        Assert.EndsWith("RuntimeError: all 2 searches (MaxSearchCalls) are used, 0 are left; go on with what you have", result.Cells[0].Error, StringComparison.Ordinal);
        Assert.Equal(4, source.Requests.Count); // two of either run, streamed and not
    }

    [Fact]
    public async Task SearchDb_IsThereAndInThePromptOnlyWithASource()
    {
        var with = await RunAsync(new ListSource(), "print(callable(search_db))");
        Assert.Contains("`search_db(query, top_k=5, filters=None)`", with.Model.Requests[0].Messages[0].Text, StringComparison.Ordinal);
        var without = await RunAsync(null, "print('search_db' in globals())");
        Assert.Equal("False\n", without.Output);
        Assert.DoesNotContain("search_db", without.Model.Requests[0].Messages[0].Text, StringComparison.Ordinal);
    }

    private static Task<PlanResult> RunAsync(ISearchSource? source, string code) =>
        new Plan(Script.Code(code), Script.Answer("1")) { Configure = options => options.SearchSource = source }.RunAsync(Token);

    private sealed class ListSource(params SearchResult[] results) : ISearchSource
    {
        public ConcurrentQueue<SearchRequest> Requests { get; } = new();

        public Task<IReadOnlyList<SearchResult>> SearchAsync(SearchRequest request, CancellationToken cancellationToken)
        {
            Requests.Enqueue(request);
            return request.Query == "fail" ? throw new InvalidOperationException("the index is down") : Task.FromResult<IReadOnlyList<SearchResult>>(results);
        }
    }
}
