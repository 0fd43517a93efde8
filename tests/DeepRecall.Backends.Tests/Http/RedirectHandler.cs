namespace DeepRecall.Backends.Tests.Http;

/// <summary>Sends every request to one server, with the address that it was meant for in a header.</summary>
internal sealed class RedirectHandler(string url) : DelegatingHandler
{
    public const string AddressHeader = "x-test-address";

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var meant = request.RequestUri!;
        request.Headers.Remove(AddressHeader);
        request.Headers.Add(AddressHeader, meant.AbsoluteUri);
        request.RequestUri = new Uri(url + meant.PathAndQuery);
        return base.SendAsync(request, cancellationToken);
    }
}
