using System.Globalization;

namespace DeepRecall.Backends.Http;

/// <summary>Adds what a provider wants beside the SDK's request, and reads what it tells in headers.</summary>
internal sealed class HeadersHandler(BackendSettings settings, HttpMessageHandler innerHandler) : DelegatingHandler(innerHandler)
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (settings.ThroughPortkey)
        {
            // The key is Portkey's; the provider's own is behind the virtual key.
            request.Headers.Remove("Authorization");
            Set(request, "x-portkey-api-key", settings.ApiKey!);
            if (settings.VirtualKey is { } virtualKey)
            {
                Set(request, "x-portkey-virtual-key", virtualKey);
            }
        }

        if (settings.Provider.Name == BackendNames.AzureOpenAI && settings.ApiKey is { } azureKey)
        {
            request.Headers.Remove("Authorization");
            Set(request, "api-key", azureKey);
        }

        if (settings.Provider.Family == ProviderFamily.Gemini)
        {
            Set(request, "x-goog-api-key", settings.ApiKey!);
        }

        foreach (var (name, value) in settings.Options.Headers)
        {
            Set(request, name, value);
        }

        if (settings.Provider.Name == BackendNames.AzureOpenAI && settings.ApiVersion is { } version && request.RequestUri is { } address && !address.Query.Contains("api-version=", StringComparison.Ordinal))
        {
            var query = address.Query.Length > 1 ? $"{address.Query[1..]}&" : string.Empty;
            request.RequestUri = new UriBuilder(address) { Query = $"{query}api-version={Uri.EscapeDataString(version)}" }.Uri;
        }

        var response = await base.SendAsync(request, cancellationToken).ConfigureAwait(false);

        // LiteLLM's proxy tells what a call cost, in USD.
        if (response.Headers.TryGetValues("x-litellm-response-cost", out var costs)
            && decimal.TryParse(costs.FirstOrDefault(), NumberStyles.Float, CultureInfo.InvariantCulture, out var cost)
            && CallScope.Current is { } call)
        {
            call.CostUsd = cost;
        }

        return response;
    }

    private static void Set(HttpRequestMessage request, string name, string value)
    {
        request.Headers.Remove(name);
        request.Headers.TryAddWithoutValidation(name, value);
    }
}
