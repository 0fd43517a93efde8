using System.Net;
using System.Net.Http.Json;
using System.Text.RegularExpressions;
using DeepRecall.Testing;

namespace DeepRecall.Tests.Hosting;

public sealed partial class WebApiTests
{
    private static CancellationToken Token => Services.Token;

    [Fact]
    public async Task Question_IsAnsweredAsServerSentEvents()
    {
        await using var server = await FakeOpenAI.StartAsync(request => request.Roles.Contains("system")
            ? "I look.\n\n```repl\nprint(len(context))\nFINAL(llm_query(context))\n```"
            : "seven");
        await using var app = Start(server);
        using var http = await ConnectAsync(app);

        using var response = await http.PostAsJsonAsync("/ask", new { question = "How many?", context = "1234567" }, Token);
        var text = await response.Content.ReadAsStringAsync(Token);

        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        var events = EventOf().Matches(text).Select(found => (Name: found.Groups["name"].Value, Data: found.Groups["data"].Value)).ToArray();
        Assert.Equal(["turn", "thought", "code", "output", "answer", "done"], events.Select(one => one.Name).Distinct());
        Assert.Contains("print(len(context))", events.Single(one => one.Name == "code").Data, StringComparison.Ordinal);
        Assert.Equal("""{"text":"seven"}""", events.Single(one => one.Name == "answer").Data);
        Assert.Equal("""{"stopReason":"Answered","tokens":2200}""", events.Single(one => one.Name == "done").Data);
    }

    [Fact]
    public async Task QuestionThatFails_EndsWithAnError_ThatTellsNothingInternal()
    {
        await using var server = await FakeOpenAI.StartAsync(_ => null);
        await using var app = Start(server);
        using var http = await ConnectAsync(app);

        var text = await (await http.PostAsJsonAsync("/ask", new { question = "How many?" }, Token)).Content.ReadAsStringAsync(Token);

        Assert.Contains("event: error", text, StringComparison.Ordinal);
        Assert.DoesNotContain("sk-test", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task HealthAndBadRequests_AreTold()
    {
        await using var server = await FakeOpenAI.StartAsync(_ => "unused");
        await using var app = Start(server);
        using var http = await ConnectAsync(app);

        using var bad = await http.PostAsJsonAsync("/ask", new { question = " " }, Token);
        var health = await http.GetStringAsync("/health", Token);

        Assert.Equal(HttpStatusCode.BadRequest, bad.StatusCode);
        Assert.Contains(health, (string[])["Healthy", "Degraded"]);
    }

    private static ExampleProcess Start(FakeOpenAI server) => ExampleProcess.Start(BuildPaths.WebApi, new Dictionary<string, string>
    {
        ["ASPNETCORE_URLS"] = "http://127.0.0.1:0",
        ["OPENAI_API_KEY"] = "sk-test",
        ["DeepRecall__Backends__main__BaseUrl"] = server.BaseUrl,
        ["DeepRecall__Backends__mini__BaseUrl"] = server.BaseUrl,
        ["DeepRecall__Environments__local__Isolation"] = "Preferred",
    });

    private static async Task<HttpClient> ConnectAsync(ExampleProcess app)
    {
        var line = await app.WaitForLineAsync("Now listening on: ", Token);
        return new HttpClient { BaseAddress = new Uri(line[(line.IndexOf("on: ", StringComparison.Ordinal) + 4)..].Trim()), Timeout = TimeSpan.FromMinutes(2) };
    }

    [GeneratedRegex(@"event: (?<name>\S+)\ndata: (?<data>.*)\n")]
    private static partial Regex EventOf();
}
