using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using DeepRecall.Sandboxes.Cloud;

namespace DeepRecall.Sandboxes.Tests.Cloud;

/// <summary>A way to the network on which some requests are refused with an error that repeats their headers, as a careless proxy may do.</summary>
internal sealed class EchoingHandler(string path) : DelegatingHandler(CloudHost.CreateHandler())
{
    /// <summary>The tokens that were repeated.</summary>
    public List<string> Secrets { get; } = [];

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (!request.RequestUri!.AbsolutePath.EndsWith(path, StringComparison.Ordinal))
        {
            return base.SendAsync(request, cancellationToken);
        }

        foreach (var (name, values) in request.Headers)
        {
            if (name is "Authorization" or "X-Access-Token")
            {
                Secrets.AddRange(values.Select(value => value.Replace("Bearer ", string.Empty, StringComparison.Ordinal)));
            }
        }

        var body = new JsonObject { ["code"] = "invalid_argument", ["message"] = $"these headers are not allowed: {string.Join(' ', Secrets)}" };
        return Task.FromResult(new HttpResponseMessage(HttpStatusCode.UnprocessableEntity) { Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json"), RequestMessage = request });
    }
}
