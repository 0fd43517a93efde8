using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Http;
using Microsoft.Extensions.Options;

namespace DeepRecall.Backends.Http;

/// <summary>The last handler before the wire: puts the headers with keys onto a request, which no handler of the factory above it is to see.</summary>
/// <remarks>The factory's own logging hides the values of headers in its text, but not in the structured state that goes with it.</remarks>
internal sealed class SecretHeadersHandler(HttpMessageHandler innerHandler) : DelegatingHandler(innerHandler)
{
    private static readonly HttpRequestOptionsKey<SecretHeaders> Key = new("deeprecall.secret_headers");

    private static readonly Action<HttpMessageHandlerBuilder> Wrap = builder => builder.PrimaryHandler = new SecretHeadersHandler(builder.PrimaryHandler);

    /// <summary>Puts this handler below the others of a named client that the services make from now on.</summary>
    public static void AddTo(IServiceProvider services, string clientName)
    {
        if (services.GetService<IOptionsMonitor<HttpClientFactoryOptions>>()?.Get(clientName).HttpMessageHandlerBuilderActions is not { } actions)
        {
            return;
        }

        lock (actions)
        {
            if (!actions.Contains(Wrap))
            {
                actions.Add(Wrap);
            }
        }
    }

    /// <summary>Sends a request through a client's handlers, without its keys until it gets here; with them, if this handler is not among the client's.</summary>
    public static async Task<HttpResponseMessage> SendThroughAsync(HttpMessageHandler handler, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        // The factory owns the handler: the invoker is not disposed with it.
        var invoker = new HttpMessageInvoker(handler, disposeHandler: false);
        if (!IsIn(handler))
        {
            return await invoker.SendAsync(request, cancellationToken).ConfigureAwait(false);
        }

        var secrets = SecretHeaders.Of(request);
        request.Options.Set(Key, secrets);
        secrets.RemoveFrom(request);
        try
        {
            return await invoker.SendAsync(request, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            secrets.AddTo(request); // the next attempt starts from the same request
        }
    }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (!request.Options.TryGetValue(Key, out var secrets))
        {
            return await base.SendAsync(request, cancellationToken).ConfigureAwait(false);
        }

        secrets.AddTo(request);
        try
        {
            return await base.SendAsync(request, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            secrets.RemoveFrom(request); // a handler above may send, and log, it again
        }
    }

    private static bool IsIn(HttpMessageHandler? handler)
    {
        for (; handler is DelegatingHandler outer; handler = outer.InnerHandler)
        {
            if (outer is SecretHeadersHandler)
            {
                return true;
            }
        }

        return false;
    }

    private sealed class SecretHeaders(IReadOnlyList<KeyValuePair<string, string[]>> headers)
    {
        public static SecretHeaders Of(HttpRequestMessage request) =>
            new([.. request.Headers.NonValidated.Where(header => BackendSettings.IsSecret(header.Key)).Select(header => KeyValuePair.Create(header.Key, header.Value.ToArray()))]);

        public void AddTo(HttpRequestMessage request)
        {
            foreach (var (name, values) in headers)
            {
                request.Headers.Remove(name);
                request.Headers.TryAddWithoutValidation(name, values);
            }
        }

        public void RemoveFrom(HttpRequestMessage request)
        {
            foreach (var (name, _) in headers)
            {
                request.Headers.Remove(name);
            }
        }
    }
}
