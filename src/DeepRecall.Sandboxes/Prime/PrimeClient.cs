using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Prime;

/// <summary>Prime Intellect's control API: creates, finds and deletes sandboxes, and opens their gateway.</summary>
internal sealed class PrimeClient
{
    private static readonly TimeSpan FirstPoll = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPoll = TimeSpan.FromSeconds(2);

    private readonly PrimeSettings _settings;
    private readonly CloudHost _host;
    private readonly CloudHttp _http;

    public PrimeClient(PrimeSettings settings, CloudHost host, BackOff calls)
    {
        _settings = settings;
        _host = host;
        _http = new CloudHttp(host, new CloudErrors("Prime Intellect", HintFor, settings.ApiKey)) { BackOff = calls };
    }

    public CloudErrors Errors => _http.Errors;

    /// <summary>The errors of a sandbox's gateway, which knows a token beside the key.</summary>
    public CloudErrors NewGatewayErrors(PrimeAuth auth) => new(Errors.Service, _ => null, _settings.ApiKey, auth.Token);

    /// <summary>Asks for a sandbox; it runs later.</summary>
    public async Task<PrimeInfo> CreateAsync(string start, CancellationToken cancellationToken)
    {
        // An empty list of what is allowed denies all, an empty list of what is denied allows all; containers know neither.
        IReadOnlyList<string>? Empty(bool wanted) => wanted && !_settings.Container ? [] : null;
        var body = new PrimeCreate(
            $"{CloudLabels.Owner}-{start}",
            _settings.Image,
            _settings.Container ? "tail -f /dev/null" : null,
            _settings.CpuCores,
            _settings.MemoryGB,
            _settings.DiskGB,
            !_settings.Container,
            _settings.Container ? _settings.AllowInternet : null,
            Empty(!_settings.AllowInternet),
            Empty(_settings.AllowInternet),
            (int)_settings.Timeout.TotalMinutes,
            _settings.EnvVars,
            [CloudLabels.Owner, CloudLabels.StartWord(start)],
            _settings.TeamId,
            start);
        const string Action = "create a sandbox";
        using var response = await _http.SendAsync(Action, () => Request(HttpMethod.Post, "/sandbox", body, PrimeJson.Default.PrimeCreate), repeatable: false, cancellationToken).ConfigureAwait(false);
        var created = await ReadAsync(response, Action, PrimeInfoJson.Default.PrimeInfo, cancellationToken).ConfigureAwait(false);
        return created.Id is { Length: > 0 } ? created : throw NotAnAnswer(Action, "there is no id in it", null);
    }

    /// <summary>Waits until a sandbox runs.</summary>
    /// <exception cref="SandboxException">It will not, or not in time.</exception>
    public async Task WaitUntilRunningAsync(PrimeInfo created, CancellationToken cancellationToken)
    {
        const string Action = "start the sandbox";
        var started = _host.Time.GetTimestamp();
        var (info, wait) = (created, FirstPoll);
        while (info.Status != "RUNNING")
        {
            if (HasEnded(info))
            {
                var reason = CloudOptions.Blank(info.ErrorMessage) ?? CloudOptions.Blank(info.ErrorType) ?? "no reason was given";
                var kind = CloudErrors.KindOf(HttpStatusCode.UnprocessableEntity, $"{info.ErrorType} {info.ErrorMessage}");
                throw Errors.Failed(kind is SandboxErrorKind.BadRequest ? IsAboutTheImage(info) ? SandboxErrorKind.NotFound : SandboxErrorKind.Server : kind, Action, $"its status is {info.Status} ({reason})");
            }

            if (_host.Time.GetElapsedTime(started) > _settings.CreationTimeout)
            {
                throw Errors.Failed(SandboxErrorKind.Timeout, Action, $"it did not run within {_settings.CreationTimeout} ({nameof(PrimeSandboxOptions)}.{nameof(PrimeSandboxOptions.CreationTimeout)}); its status is {info.Status}");
            }

            await Task.Delay(wait, _host.Time, cancellationToken).ConfigureAwait(false);
            wait = wait * 1.5 < LongestPoll ? wait * 1.5 : LongestPoll;
            info = await FindAsync(created.Id, cancellationToken).ConfigureAwait(false) ?? throw Errors.Failed(SandboxErrorKind.Server, Action, "it is not there any more");
        }
    }

    /// <summary>Finds a sandbox.</summary>
    /// <returns><see langword="null"/> when it is not there.</returns>
    public async Task<PrimeInfo?> FindAsync(string id, CancellationToken cancellationToken)
    {
        const string Action = "find a sandbox";
        using var response = await _http.SendAsync(Action, () => Request(HttpMethod.Get, $"/sandbox/{id}"), repeatable: true, cancellationToken, HttpStatusCode.NotFound).ConfigureAwait(false);
        return response.IsSuccessStatusCode ? await ReadAsync(response, Action, PrimeInfoJson.Default.PrimeInfo, cancellationToken).ConfigureAwait(false) : null;
    }

    /// <summary>Whether a sandbox runs no more, and never will again.</summary>
    public static bool HasEnded(PrimeInfo info) => info.Status is "ERROR" or "TERMINATED" or "TIMEOUT" or "STOPPED";

    /// <summary>Lists the active sandboxes that have a label.</summary>
    public async Task<IReadOnlyList<PrimeInfo>> ListAsync(string label, CancellationToken cancellationToken)
    {
        const string Action = "list sandboxes";
        var listing = new Listing<PrimeInfo>(sandbox => sandbox.Id);
        var team = _settings.TeamId is { } id ? $"&team_id={Uri.EscapeDataString(id)}" : string.Empty;
        for (var (page, more) = (1, true); more; page++)
        {
            var path = $"/sandbox?page={page}&per_page=100&is_active=true&labels={Uri.EscapeDataString(label)}{team}";
            using var response = await _http.SendAsync(Action, () => Request(HttpMethod.Get, path), repeatable: true, cancellationToken).ConfigureAwait(false);
            var listed = await ReadAsync(response, Action, PrimeInfoJson.Default.PrimePage, cancellationToken).ConfigureAwait(false);
            more = listing.Add(listed.Sandboxes ?? []) && listed.HasNext;
        }

        // Nothing is deleted on the word of a filter alone.
        return [.. listing.Found.Where(sandbox => sandbox.Labels?.Contains(label) == true)];
    }

    /// <summary>Deletes a sandbox.</summary>
    /// <returns>Whether it was there.</returns>
    public Task<bool> DeleteAsync(string id, CancellationToken cancellationToken) =>
        _http.DeleteAsync("delete a sandbox", () => Request(HttpMethod.Delete, $"/sandbox/{id}"), cancellationToken);

    /// <summary>Deletes a sandbox that nobody wants any more. Never throws: when the service cannot be reached, it ends when its time runs out.</summary>
    public Task DiscardAsync(string id) => CloudDeletion.DiscardAsync(token => DeleteAsync(id, token), _host, "prime", id);

    /// <summary>Gets the address and a token of a sandbox's gateway.</summary>
    public async Task<PrimeAuth> OpenGatewayAsync(string id, CancellationToken cancellationToken)
    {
        const string Action = "open the sandbox's gateway";
        using var response = await _http.SendAsync(Action, () => Request(HttpMethod.Post, $"/sandbox/{id}/auth"), repeatable: true, cancellationToken).ConfigureAwait(false);
        var auth = await ReadAsync(response, Action, PrimeJson.Default.PrimeAuth, cancellationToken).ConfigureAwait(false);
        return Uri.IsWellFormedUriString(auth.GatewayUrl, UriKind.Absolute) && auth.Token is { Length: > 0 } ? auth : throw NotAnAnswer(Action, "there is no address or no token in it", null);
    }

    private static bool IsAboutTheImage(PrimeInfo info) => $"{info.ErrorType} {info.ErrorMessage}".Contains("image", StringComparison.OrdinalIgnoreCase);

    private static string? HintFor(SandboxErrorKind kind) => kind switch
    {
        SandboxErrorKind.Authentication => $"Check {nameof(PrimeSandboxOptions)}.{nameof(PrimeSandboxOptions.ApiKey)} or PRIME_API_KEY, and the team.",
        SandboxErrorKind.NotFound => $"Check {nameof(PrimeSandboxOptions)}.{nameof(PrimeSandboxOptions.Image)}.",
        SandboxErrorKind.Quota => "Check the balance and the limits of the account or team.",
        SandboxErrorKind.RateLimit => "Start fewer sandboxes at a time.",
        SandboxErrorKind.Connection => $"Check the network, and {nameof(PrimeSandboxOptions)}.{nameof(PrimeSandboxOptions.BaseUrl)}.",
        _ => null,
    };

    private HttpRequestMessage Request(HttpMethod method, string path)
    {
        var request = new HttpRequestMessage(method, _settings.BaseUrl.AbsoluteUri.TrimEnd('/') + path);
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _settings.ApiKey);
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
        Errors.Failed(SandboxErrorKind.Other, action, $"the answer is not what the API answers ({reason})", cause);
}
