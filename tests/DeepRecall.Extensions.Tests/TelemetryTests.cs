using System.Diagnostics;
using DeepRecall.Testing;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using OpenTelemetry;
using OpenTelemetry.Trace;

namespace DeepRecall.Tests;

public sealed class TelemetryTests
{
    private const string Test = "deeprecall-test";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Spans_AreExportedAsOneTree(bool streamed)
    {
        List<Activity> exported = [];
        using var source = new ActivitySource($"{Test}-{Guid.NewGuid():N}");
        using var tracer = Sdk.CreateTracerProviderBuilder().AddSource(DeepRecallTelemetry.SourceName, source.Name, $"{source.Name}-models").AddInMemoryExporter(exported).Build();
        await using var provider = new ServiceCollection().With(services => services
            .AddDeepRecall(o =>
            {
                o.Backend = "main";
                o.OtherBackends.Add("mini");
                o.MaxDepth = 2;
            })
            .WithModel("main", new ScriptedChatClient(Script.Code("word = llm_query('a')"), Script.Answer("rlm_query('child', context='c')")))
            .WithModel("mini", new ScriptedChatClient(request => request.IsRun ? Script.Answer("'deep'") : "small"))
            .ConfigureMainClient(pipeline => pipeline.UseOpenTelemetry(sourceName: $"{source.Name}-models"))).BuildServiceProvider();
        var client = provider.GetRequiredService<IChatClient>();

        using (var root = source.StartActivity("test"))
        {
            var response = streamed
                ? await client.GetStreamingResponseAsync(Script.About("text"), cancellationToken: Services.Token).ToChatResponseAsync(Services.Token)
                : await client.GetResponseAsync(Script.About("text"), cancellationToken: Services.Token);
            Assert.Equal("deep", response.Text);
        }

        tracer.ForceFlush();
        var spans = exported.ToArray();
        var test = spans.Single(span => span.OperationName == "test");
        Assert.Equal(
            [
                "invoke_workflow deeprecall",
                "  turn 1",
                "    chat scripted-model (models)",
                "    execute_cell 1",
                "      subcall llm_query",
                "        chat scripted-model",
                "  turn 2",
                "    chat scripted-model (models)",
                "    execute_cell 2",
                "      subcall rlm_query",
                "        invoke_workflow deeprecall",
                "          turn 1",
                "            chat scripted-model",
                "            execute_cell 1",
            ],
            Tree(spans.Where(span => span.TraceId == test.TraceId).ToArray(), test.SpanId, string.Empty));
        Assert.DoesNotContain(spans.SelectMany(span => span.TagObjects), tag => $"{tag.Value}".Contains("llm_query('a')", StringComparison.Ordinal));
    }

    private static IEnumerable<string> Tree(Activity[] spans, ActivitySpanId parent, string indent) => spans
        .Where(span => span.ParentSpanId == parent)
        .OrderBy(span => span.StartTimeUtc)
        .SelectMany(span => Tree(spans, span.SpanId, indent + "  ").Prepend($"{indent}{span.DisplayName}{(span.Source.Name.EndsWith("-models", StringComparison.Ordinal) ? " (models)" : string.Empty)}"));
}
