using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Daytona;

/// <summary>Daytona's control API: makes sandboxes and deletes them.</summary>
internal sealed class DaytonaClient
{
    private static readonly TimeSpan FirstPoll = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPoll = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan QuickPolling = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan CreateTimeout = TimeSpan.FromMinutes(30);

    private readonly DaytonaSettings _settings;

    public DaytonaClient(DaytonaSettings settings, CloudHost host)
    {
        _settings = settings;
        Host = host;
        Http = new CloudHttp(host, new CloudErrors("Daytona", Hint, settings.Secret));
    }

    public CloudHost Host { get; }

    public CloudHttp Http { get; }

    public CloudErrors Errors => Http.Errors;

    /// <summary>Makes a sandbox and waits until it runs. A caller that stops waiting leaves none behind.</summary>
    public async Task<DaytonaMachine> CreateAsync(string start, CancellationToken cancellationToken)
    {
        var created = await CloudCreation.WaitAsync(CreateAsync(start), created => DiscardAsync(created.Id), () => SweepAsync(start), cancellationToken).ConfigureAwait(false);
        try
        {
            return await WaitUntilStartedAsync(created, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            await DiscardAsync(created.Id).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Deletes a sandbox; one that is gone is no error.</summary>
    public Task DeleteAsync(string id, CancellationToken cancellationToken) =>
        Http.DeleteAsync($"delete the sandbox {id}", () => Request(HttpMethod.Delete, new Uri(_settings.ApiUrl, $"sandbox/{Uri.EscapeDataString(id)}")), cancellationToken);

    /// <summary>Deletes a sandbox that nobody wants any more. Never throws: when Daytona cannot be reached, it is stopped by its own time limit.</summary>
    public Task DiscardAsync(string id) => CloudDeletion.DiscardAsync(token => DeleteAsync(id, token), Host, "daytona", id);

    /// <summary>The sandboxes that have a label, and when they were made.</summary>
    public async Task<IReadOnlyList<(string Id, DateTimeOffset Created)>> ListAsync(string label, string value, CancellationToken cancellationToken)
    {
        var labels = new Dictionary<string, string>(StringComparer.Ordinal) { [label] = value };
        var query = $"sandbox?limit=100&labels={Uri.EscapeDataString(JsonSerializer.Serialize(labels, DaytonaJson.Default.Labels))}";
        var listing = new Listing<SandboxDto>(sandbox => sandbox.Id);
        string? cursor = null;
        do
        {
            var uri = new Uri(_settings.ApiUrl, cursor is null ? query : $"{query}&cursor={Uri.EscapeDataString(cursor)}");
            var page = await CallAsync("list the sandboxes", () => Request(HttpMethod.Get, uri), true, DaytonaJson.Default.SandboxPage, cancellationToken).ConfigureAwait(false);
            cursor = listing.Add(page.Items ?? []) && page.NextCursor is { Length: > 0 } next ? next : null;
        }
        while (cursor is not null);

        // Nothing is deleted on the word of a filter alone.
        return [.. listing.Found
            .Where(sandbox => sandbox.Labels?.GetValueOrDefault(label) == value)
            .Select(sandbox => (sandbox.Id, sandbox.CreatedAt ?? DateTimeOffset.MaxValue))];
    }

    /// <summary>A request of either API, with the key.</summary>
    public HttpRequestMessage Request(HttpMethod method, Uri uri)
    {
        var request = new HttpRequestMessage(method, uri);
        foreach (var (name, value) in Headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
        return request;
    }

    /// <summary>What every request carries, that of a WebSocket too.</summary>
    public IEnumerable<(string Name, string Value)> Headers
    {
        get
        {
            yield return ("Authorization", $"Bearer {_settings.Secret}");
            yield return ("X-Daytona-Source", "deeprecall-dotnet");
            if (_settings.OrganizationId is { } organization)
            {
                yield return ("X-Daytona-Organization-ID", organization);
            }
        }
    }

    /// <summary>Sends a request and reads its answer.</summary>
    private async Task<T> CallAsync<T>(string action, Func<HttpRequestMessage> make, bool repeatable, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        using var response = await Http.SendAsync(action, make, repeatable, cancellationToken).ConfigureAwait(false);
        return await ReadAsync(action, response, type, cancellationToken).ConfigureAwait(false);
    }

    private static string? Hint(SandboxErrorKind kind) => kind switch
    {
        SandboxErrorKind.Authentication => $"Check {nameof(DaytonaSandboxOptions)}.{nameof(DaytonaSandboxOptions.ApiKey)}, and what the key may do.",
        SandboxErrorKind.Quota => "Check the organization's limits and its credit.",
        SandboxErrorKind.NotFound => $"Check {nameof(DaytonaSandboxOptions)}.{nameof(DaytonaSandboxOptions.Snapshot)}, {nameof(DaytonaSandboxOptions.Image)} and {nameof(DaytonaSandboxOptions.ApiUrl)}.",
        SandboxErrorKind.BadRequest => $"Check the image, the resources and the target in {nameof(DaytonaSandboxOptions)}.",
        SandboxErrorKind.Connection => $"Check the network and {nameof(DaytonaSandboxOptions)}.{nameof(DaytonaSandboxOptions.ApiUrl)}.",
        _ => null,
    };

    private async Task<T> ReadAsync<T>(string action, HttpResponseMessage response, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        try
        {
            return await response.Content.ReadFromJsonAsync(type, cancellationToken).ConfigureAwait(false)
                ?? throw Errors.Failed(SandboxErrorKind.Server, action, "the answer is empty");
        }
        catch (JsonException error)
        {
            throw Errors.Failed(SandboxErrorKind.Server, action, "the answer is not what it should be", error);
        }
    }

    private async Task<SandboxDto> CreateAsync(string start)
    {
        var body = new CreateSandbox
        {
            Name = $"{CloudLabels.Owner}-{start}",
            Snapshot = _settings.Snapshot,
            BuildInfo = _settings.Image is { } image ? new BuildInfo($"FROM {image}\n") : null,
            Target = _settings.Target,
            Labels = new Dictionary<string, string>(StringComparer.Ordinal) { [CloudLabels.OwnerKey] = CloudLabels.Owner, [CloudLabels.StartKey] = start },
            Env = _settings.EnvVars.Count > 0 ? _settings.EnvVars : null,
            Cpu = _settings.Cpu,
            Memory = _settings.MemoryGb,
            Disk = _settings.DiskGb,
            NetworkBlockAll = _settings.NetworkBlockAll,
            AutoStopInterval = _settings.AutoStopMinutes,
            AutoDeleteInterval = _settings.Ephemeral ? 0 : null,
        };
        const string Action = "create a sandbox";

        // The name is this start's alone: a request that is sent again because its answer was lost finds the name taken, and the sandbox.
        var sent = 0;
        using var response = await Http.SendAsync(
            Action,
            () =>
            {
                sent++;
                var request = Request(HttpMethod.Post, new Uri(_settings.ApiUrl, "sandbox"));
                request.Content = JsonContent.Create(body, DaytonaJson.Default.CreateSandbox);
                return request;
            },
            repeatable: true,
            CancellationToken.None,
            HttpStatusCode.Conflict).ConfigureAwait(false);
        if (response.StatusCode != HttpStatusCode.Conflict)
        {
            return await ReadAsync(Action, response, DaytonaJson.Default.SandboxDto, CancellationToken.None).ConfigureAwait(false);
        }

        return sent > 1
            ? await GetAsync(body.Name, CancellationToken.None).ConfigureAwait(false)
            : throw Errors.Refused(Action, response.StatusCode, await response.Content.ReadAsStringAsync().ConfigureAwait(false));
    }

    private Task<SandboxDto> GetAsync(string idOrName, CancellationToken cancellationToken) => CallAsync(
        $"look after the sandbox {idOrName}",
        () => Request(HttpMethod.Get, new Uri(_settings.ApiUrl, $"sandbox/{Uri.EscapeDataString(idOrName)}")),
        repeatable: true,
        DaytonaJson.Default.SandboxDto,
        cancellationToken);

    private async Task<DaytonaMachine> WaitUntilStartedAsync(SandboxDto sandbox, CancellationToken cancellationToken)
    {
        var began = Host.Time.GetTimestamp();
        var wait = FirstPoll;
        while (sandbox.State != "started")
        {
            if (sandbox.State is "error" or "build_failed" or "destroying" or "destroyed" or "stopped" or "archived")
            {
                var reason = string.IsNullOrEmpty(sandbox.ErrorReason) ? $"its state is {sandbox.State}" : $"its state is {sandbox.State}: {sandbox.ErrorReason}";
                var kind = sandbox.State == "build_failed" ? SandboxErrorKind.NotFound : CloudErrors.KindOf(HttpStatusCode.BadRequest, sandbox.ErrorReason ?? string.Empty);
                throw Errors.Failed(kind == SandboxErrorKind.BadRequest ? SandboxErrorKind.Server : kind, $"start the sandbox {sandbox.Id}", reason);
            }

            var elapsed = Host.Time.GetElapsedTime(began);
            if (elapsed > CreateTimeout)
            {
                throw Errors.Failed(SandboxErrorKind.Timeout, $"start the sandbox {sandbox.Id}", $"its state is still {sandbox.State} after {CreateTimeout.TotalMinutes:0} minutes");
            }

            await Task.Delay(wait, Host.Time, cancellationToken).ConfigureAwait(false);
            wait = elapsed < QuickPolling ? wait : wait * 1.5 < LongestPoll ? wait * 1.5 : LongestPoll;
            sandbox = await GetAsync(sandbox.Id, cancellationToken).ConfigureAwait(false);
        }

        var toolbox = sandbox.ToolboxProxyUrl ?? (await CallAsync(
            $"find the toolbox of the sandbox {sandbox.Id}",
            () => Request(HttpMethod.Get, new Uri(_settings.ApiUrl, $"sandbox/{sandbox.Id}/toolbox-proxy-url")),
            repeatable: true,
            DaytonaJson.Default.ToolboxUrl,
            cancellationToken).ConfigureAwait(false)).Url;
        return Uri.TryCreate($"{toolbox?.TrimEnd('/')}/{sandbox.Id}/", UriKind.Absolute, out var address)
            ? new DaytonaMachine(sandbox.Id, address)
            : throw Errors.Failed(SandboxErrorKind.Server, $"find the toolbox of the sandbox {sandbox.Id}", $"its address is '{toolbox}'");
    }

    /// <summary>Deletes what a start created without telling so; if that fails too, it is stopped by its own time limit.</summary>
    private async Task SweepAsync(string start)
    {
        try
        {
            foreach (var (id, _) in await ListAsync(CloudLabels.StartKey, start, CancellationToken.None).ConfigureAwait(false))
            {
                await DiscardAsync(id).ConfigureAwait(false);
            }
        }
        catch (SandboxException)
        {
            // The error of the creation itself is the one to tell.
        }
    }
}

/// <summary>A sandbox that runs.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Toolbox">The address of the API in it, with a slash at its end.</param>
internal sealed record DaytonaMachine(string Id, Uri Toolbox);
