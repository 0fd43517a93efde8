using System.Text.Json.Serialization;
using Microsoft.Extensions.AI;
using WebApi;

// curl -N localhost:5000/ask --json '{ "question": "Which step failed first?", "context": "step 1: ok\nstep 2: error 7" }'
var builder = WebApplication.CreateBuilder(args);
builder.Services.AddDeepRecall(builder.Configuration.GetSection("DeepRecall"));
builder.Services.AddHealthChecks().AddDeepRecallBackend().AddDeepRecallSandbox();
builder.Services.ConfigureHttpJsonOptions(options =>
{
    options.SerializerOptions.TypeInfoResolverChain.Insert(0, ApiJsonContext.Default);
    options.SerializerOptions.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull;
});

var app = builder.Build();
app.MapHealthChecks("/health");
app.MapPost("/ask", (AskRequest request, IChatClient client, CancellationToken cancellationToken) =>
    string.IsNullOrWhiteSpace(request.Question)
        ? Results.BadRequest(new AskProblem("question is missing"))
        : TypedResults.ServerSentEvents(Progress.StreamAsync(client, request, cancellationToken)));
await app.RunAsync();
