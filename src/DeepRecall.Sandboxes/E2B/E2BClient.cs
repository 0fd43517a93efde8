using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.E2B;

/// <summary>E2B's control API: creates, lists, extends and deletes sandboxes.</summary>
internal sealed class E2BClient
{
    private readonly E2BSettings _settings;
    private readonly CloudHost _host;
    private readonly CloudHttp _http;

    public E2BClient(E2BSettings settings, CloudHost host, BackOff? backOff = null)
    {
        _settings = settings;
        _host = host;
        _http = new CloudHttp(host, new CloudErrors("E2B", HintFor, settings.ApiKey)) { BackOff = backOff ?? BackOff.Calls };
    }

    /// <summary>Creates a sandbox, by the second version of the API, or the first where there is no second.</summary>
    public async Task<E2BCreated> CreateAsync(string start, CancellationToken cancellationToken)
    {
        var metadata = new Dictionary<string, string>(_settings.Metadata, StringComparer.Ordinal)
        {
            [CloudLabels.OwnerKey] = CloudLabels.Owner,
            [CloudLabels.StartKey] = start,
        };
        var body = new E2BCreate(_settings.Template, (int)_settings.Timeout.TotalSeconds, metadata, _settings.EnvVars, _settings.AllowInternet);
        const string Action = "create a sandbox";
        var response = await _http.SendAsync(
            Action,
            () => Request(HttpMethod.Post, "/v2/sandboxes", body, E2BJson.Default.E2BCreate),
            repeatable: false,
            cancellationToken,
            HttpStatusCode.NotFound,
            HttpStatusCode.MethodNotAllowed).ConfigureAwait(false);
        if (!response.IsSuccessStatusCode)
        {
            response.Dispose();
            response = await _http.SendAsync(
                Action,
                () => Request(HttpMethod.Post, "/sandboxes", body with { Secure = true }, E2BJson.Default.E2BCreate),
                repeatable: false,
                cancellationToken).ConfigureAwait(false);
        }

        using (response)
        {
            var created = await ReadAsync(response, Action, E2BJson.Default.E2BCreated, cancellationToken).ConfigureAwait(false);
            return created.SandboxId is { Length: > 0 } ? created : throw NotAnAnswer(Action, "there is no sandboxID in it", null);
        }
    }

    /// <summary>Lists the sandboxes whose metadata has a value.</summary>
    public async Task<IReadOnlyList<E2BListed>> ListAsync(string key, string value, CancellationToken cancellationToken)
    {
        var listing = new Listing<E2BListed>(sandbox => sandbox.SandboxId);
        string? next = null;
        do
        {
            // The filter is a query string of its own within the query.
            var filter = Uri.EscapeDataString($"{Uri.EscapeDataString(key)}={Uri.EscapeDataString(value)}");
            var path = $"/v2/sandboxes?metadata={filter}&state=running,paused&limit=100{(next is null ? string.Empty : $"&nextToken={Uri.EscapeDataString(next)}")}";
            using var response = await _http.SendAsync("list sandboxes", () => Request(HttpMethod.Get, path), repeatable: true, cancellationToken).ConfigureAwait(false);
            var page = await ReadAsync(response, "list sandboxes", E2BJson.Default.IReadOnlyListE2BListed, cancellationToken).ConfigureAwait(false);

            next = listing.Add(page) && response.Headers.TryGetValues("x-next-token", out var tokens) ? CloudOptions.Blank(tokens.FirstOrDefault()) : null;
        }
        while (next is not null);

        // Nothing is deleted on the word of a filter alone.
        return [.. listing.Found.Where(sandbox => sandbox.Metadata?.GetValueOrDefault(key) == value)];
    }

    public async Task ExtendAsync(string sandboxId, CancellationToken cancellationToken)
    {
        var body = new E2BTimeout((int)_settings.Timeout.TotalSeconds);
        using var response = await _http.SendAsync(
            "extend a sandbox's time",
            () => Request(HttpMethod.Post, $"/sandboxes/{sandboxId}/timeout", body, E2BJson.Default.E2BTimeout),
            repeatable: true,
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Whether the sandbox is there.</summary>
    public async Task<bool> ExistsAsync(string sandboxId, CancellationToken cancellationToken)
    {
        using var response = await _http.SendAsync(
            "find a sandbox",
            () => Request(HttpMethod.Get, $"/sandboxes/{sandboxId}"),
            repeatable: true,
            cancellationToken,
            HttpStatusCode.NotFound).ConfigureAwait(false);
        return response.IsSuccessStatusCode;
    }

    /// <summary>Deletes a sandbox.</summary>
    /// <returns>Whether it was there.</returns>
    public Task<bool> DeleteAsync(string sandboxId, CancellationToken cancellationToken) =>
        _http.DeleteAsync("delete a sandbox", () => Request(HttpMethod.Delete, $"/sandboxes/{sandboxId}"), cancellationToken);

    /// <summary>Deletes a sandbox that nobody wants any more. Never throws: when E2B cannot be reached, it ends when its time runs out.</summary>
    public Task DiscardAsync(string sandboxId) =>
        CloudDeletion.DiscardAsync(token => DeleteAsync(sandboxId, token), _host, "e2b", sandboxId);

    private static string? HintFor(SandboxErrorKind kind) => kind switch
    {
        SandboxErrorKind.Authentication => $"Check {nameof(E2BSandboxOptions)}.{nameof(E2BSandboxOptions.ApiKey)} or E2B_API_KEY.",
        SandboxErrorKind.NotFound => $"Check {nameof(E2BSandboxOptions)}.{nameof(E2BSandboxOptions.Template)}, which must name a template of this account or a public one.",
        SandboxErrorKind.Quota => "Check the plan and the credit of the account.",
        SandboxErrorKind.RateLimit => "Start fewer sandboxes at a time, or raise the plan's limit.",
        SandboxErrorKind.Connection => $"Check the network, and {nameof(E2BSandboxOptions)}.{nameof(E2BSandboxOptions.Domain)} or {nameof(E2BSandboxOptions.ApiUrl)}.",
        _ => null,
    };

    private HttpRequestMessage Request(HttpMethod method, string path)
    {
        var request = new HttpRequestMessage(method, _settings.ApiUrl.AbsoluteUri.TrimEnd('/') + path);
        request.Headers.TryAddWithoutValidation("X-API-KEY", _settings.ApiKey);
        return request;
    }

    private HttpRequestMessage Request<T>(HttpMethod method, string path, T body, JsonTypeInfo<T> type)
    {
        var request = Request(method, path);
        request.Content = JsonContent.Create(body, type);
        return request;
    }

    private async Task<T> ReadAsync<T>(HttpResponseMessage response, string action, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        try
        {
            return await response.Content.ReadFromJsonAsync(type, cancellationToken).ConfigureAwait(false) ?? throw NotAnAnswer(action, "it is null", null);
        }
        catch (JsonException error)
        {
            throw NotAnAnswer(action, error.Message, error);
        }
    }

    private SandboxException NotAnAnswer(string action, string reason, Exception? cause) =>
        _http.Errors.Failed(SandboxErrorKind.Other, action, $"the answer is not what the API answers ({reason})", cause);
}
