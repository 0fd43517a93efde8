using System.Diagnostics.CodeAnalysis;
using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxes.Modal.Wire;
using DeepRecall.Sandboxing;
using Grpc.Core;
using Api = DeepRecall.Sandboxes.Modal.Wire.ModalClient.ModalClientClient;

namespace DeepRecall.Sandboxes.Modal;

/// <summary>Modal's control API: makes sandboxes and ends them.</summary>
[SuppressMessage("Design", "CA1001", Justification = "The channel and the semaphore hold nothing that needs an end: the connections are the host's.")]
internal sealed class ModalClient
{
    private const string ClientType = "7"; // a client library that is none of Modal's Python, JavaScript or Go ones
    private const string ClientVersion = "1.0.0";
    private const string LibraryVersion = "deeprecall-dotnet/0.1.0";
    private const float ImageWaitSeconds = 55;

    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan CreateTimeout = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan BuildTimeout = TimeSpan.FromMinutes(30);

    private readonly ModalSettings _settings;
    private readonly CloudHost _host;
    private readonly ModalErrors _errors;
    private readonly ModalRetry _retry;
    private readonly Api _api;
    private readonly SemaphoreSlim _signingIn = new(1, 1);
    private readonly Lock _lock = new();
    private Session? _session;
    private Task<Setup>? _setup;

    public ModalClient(ModalSettings settings, CloudHost host)
    {
        _settings = settings;
        _host = host;
        _errors = new ModalErrors(settings);
        _retry = new ModalRetry(host.Time);
        _api = new Api(ModalChannel.Create(settings.ServerUrl, host));
    }

    public CloudHost Host => _host;

    public ModalErrors Errors => _errors;

    public Uri Server => _settings.ServerUrl;

    /// <summary>Makes a sandbox that idles. A caller that stops waiting leaves none behind.</summary>
    public Task<ModalTask> CreateAsync(string start, CancellationToken cancellationToken) =>
        CloudCreation.WaitAsync(CreateWithSetupAsync(start), task => DiscardAsync(task.SandboxId), () => SweepAsync(start), cancellationToken);

    /// <summary>Ends a sandbox; one that is gone is no error.</summary>
    public async Task TerminateAsync(string sandboxId, CancellationToken cancellationToken)
    {
        try
        {
            await CallAsync($"terminate the sandbox {sandboxId}", (api, options) => api.SandboxTerminateV2Async(new SandboxTerminateRequest { SandboxId = sandboxId }, options), cancellationToken, CloudDeletion.Attempt).ConfigureAwait(false);
        }
        catch (SandboxException error) when (error.Kind == SandboxErrorKind.NotFound)
        {
        }
    }

    /// <summary>A new way into a sandbox.</summary>
    public async Task<CommandRouterAccess> GetAccessAsync(string sandboxId, CancellationToken cancellationToken)
    {
        var access = await CallAsync(
            $"give access to the sandbox {sandboxId}",
            (api, options) => api.SandboxGetCommandRouterAccessAsync(new SandboxGetCommandRouterAccessRequest { SandboxId = sandboxId }, options),
            cancellationToken).ConfigureAwait(false);
        return new CommandRouterAccess { Jwt = access.Jwt, Url = access.Url };
    }

    /// <summary>How a sandbox ended; <see langword="null"/> while it runs, or when nobody knows it any more.</summary>
    public async Task<GenericResult?> GetResultAsync(string sandboxId, CancellationToken cancellationToken)
    {
        var answer = await CallAsync(
            $"tell the state of the sandbox {sandboxId}",
            (api, options) => api.SandboxWaitV2Async(new SandboxWaitRequest { SandboxId = sandboxId, Timeout = 0 }, options),
            cancellationToken).ConfigureAwait(false);
        return answer.Result;
    }

    /// <summary>The running sandboxes of the app that have a tag, and when they were made.</summary>
    public async Task<IReadOnlyList<(string Id, DateTimeOffset Created)>> ListAsync(string tag, string value, CancellationToken cancellationToken)
    {
        var setup = await SetUpAsync().WaitAsync(cancellationToken).ConfigureAwait(false);
        var request = new SandboxListRequest { AppId = setup.AppId, EnvironmentName = _settings.Environment };
        request.Tags.Add(new SandboxTag { TagName = tag, TagValue = value });
        var listing = new Listing<SandboxInfo>(sandbox => sandbox.Id);
        while (true)
        {
            var page = await CallAsync("list the sandboxes", (api, options) => api.SandboxListV2Async(request, options), cancellationToken).ConfigureAwait(false);
            if (!listing.Add(page.Sandboxes))
            {
                // Nothing is terminated on the word of a filter alone.
                return [.. listing.Found
                    .Where(sandbox => sandbox.AppId == setup.AppId && (sandbox.Tags.Count == 0 || sandbox.Tags.Any(told => told.TagName == tag && told.TagValue == value)))
                    .Select(sandbox => (sandbox.Id, DateTimeOffset.UnixEpoch.AddSeconds(sandbox.CreatedAt)))];
            }

            request.BeforeTimestamp = page.Sandboxes.Min(sandbox => sandbox.CreatedAt);
        }
    }

    /// <summary>Ends a sandbox that nobody wants any more. Never throws: when Modal cannot be reached, it ends by its timeout.</summary>
    public Task DiscardAsync(string sandboxId) =>
        CloudDeletion.DiscardAsync(token => TerminateAsync(sandboxId, token), _host, "modal", sandboxId);

    private async Task<ModalTask> CreateWithSetupAsync(string start)
    {
        var setup = SetUpAsync();
        try
        {
            return await CreateAsync(await setup.ConfigureAwait(false), start).ConfigureAwait(false);
        }
        catch (SandboxException error) when (error.Kind == SandboxErrorKind.NotFound && setup.IsCompletedSuccessfully)
        {
            // The app or the image was deleted since.
            Forget(setup);
            return await CreateAsync(await SetUpAsync().ConfigureAwait(false), start).ConfigureAwait(false);
        }
    }

    private async Task<ModalTask> CreateAsync(Setup setup, string start)
    {
        var definition = new Wire.Sandbox
        {
            ImageId = setup.ImageId,
            TimeoutSecs = (uint)_settings.Timeout.TotalSeconds,
            NetworkAccess = new NetworkAccess
            {
                NetworkAccessType = _settings.BlockNetwork ? NetworkAccess.Types.NetworkAccessType.Blocked : NetworkAccess.Types.NetworkAccessType.Open,
            },
        };
        if (_settings.Cpu is not null || _settings.MemoryMb is not null)
        {
            definition.Resources = new Resources { MilliCpu = (uint)Math.Round((_settings.Cpu ?? 0) * 1000), MemoryMb = (uint)(_settings.MemoryMb ?? 0) };
        }

        var request = new SandboxCreateV2Request { AppId = setup.AppId, Definition = definition };
        request.Tags.Add(new SandboxTag { TagName = CloudLabels.OwnerKey, TagValue = CloudLabels.Owner });
        request.Tags.Add(new SandboxTag { TagName = CloudLabels.StartKey, TagValue = start });
        if (_settings.EnvVars.Count > 0)
        {
            var variables = new StringMap();
            variables.Contents.Add(_settings.EnvVars.ToDictionary());
            request.SecretSources.Add(new SecretSource { Env = variables });
        }

        var answer = await CallAsync("create a sandbox", (api, options) => api.SandboxCreateV2Async(request, options), CancellationToken.None, CreateTimeout).ConfigureAwait(false);
        return new ModalTask(answer.SandboxId, answer.TaskId, answer.CommandRouterAccess);
    }

    /// <summary>Ends what a start created without telling so; if that fails too, it ends by its timeout.</summary>
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

    /// <summary>The app and the image, which are the same for all sandboxes: looked up once.</summary>
    private Task<Setup> SetUpAsync()
    {
        lock (_lock)
        {
            if (_setup is null or { IsFaulted: true } or { IsCanceled: true })
            {
                _setup = FindSetupAsync();
            }

            return _setup;
        }
    }

    private void Forget(Task<Setup> setup)
    {
        lock (_lock)
        {
            if (_setup == setup)
            {
                _setup = null;
            }
        }
    }

    private async Task<Setup> FindSetupAsync()
    {
        var app = await CallAsync(
            $"find the app '{_settings.AppName}'",
            (api, options) => api.AppGetOrCreateAsync(
                new AppGetOrCreateRequest { AppName = _settings.AppName, EnvironmentName = _settings.Environment, ObjectCreationType = ObjectCreationType.CreateIfMissing },
                options),
            CancellationToken.None).ConfigureAwait(false);
        var environment = await CallAsync(
            $"find the environment '{_settings.Environment}'",
            (api, options) => api.EnvironmentGetOrCreateAsync(new EnvironmentGetOrCreateRequest { DeploymentName = _settings.Environment }, options),
            CancellationToken.None).ConfigureAwait(false);
        var request = new ImageGetOrCreateRequest { AppId = app.AppId, Image = new Image(), BuilderVersion = environment.Metadata?.Settings?.ImageBuilderVersion ?? string.Empty };
        request.Image.DockerfileCommands.Add($"FROM {_settings.Image}");
        var image = await CallAsync($"find the image '{_settings.Image}'", (api, options) => api.ImageGetOrCreateAsync(request, options), CancellationToken.None).ConfigureAwait(false);
        var result = image.Result ?? await WaitForImageAsync(image.ImageId).ConfigureAwait(false);
        return result.Status == GenericResult.Types.GenericStatus.Success ? new Setup(app.AppId, image.ImageId) : throw _errors.Failed(SandboxErrorKind.NotFound, $"build the image '{_settings.Image}'", $"{result.Status} {result.Exception}".TrimEnd());
    }

    private async Task<GenericResult> WaitForImageAsync(string imageId)
    {
        using var timeout = new CancellationTokenSource(BuildTimeout, _host.Time);
        var lastEntry = string.Empty;
        var failures = 0;
        while (true)
        {
            try
            {
                var request = new ImageJoinStreamingRequest { ImageId = imageId, Timeout = ImageWaitSeconds, LastEntryId = lastEntry };
                using var call = _api.ImageJoinStreaming(request, await HeadersAsync(timeout.Token).ConfigureAwait(false), cancellationToken: timeout.Token);
                while (await call.ResponseStream.MoveNext(timeout.Token).ConfigureAwait(false))
                {
                    failures = 0;
                    var entry = call.ResponseStream.Current;
                    lastEntry = entry.EntryId.Length > 0 ? entry.EntryId : lastEntry;
                    if (entry.Result is { Status: not GenericResult.Types.GenericStatus.Unspecified } result)
                    {
                        return result;
                    }
                }
            }
            catch (Exception error) when (timeout.IsCancellationRequested && error is RpcException or OperationCanceledException)
            {
                throw _errors.Failed(SandboxErrorKind.Timeout, $"build the image '{_settings.Image}'", $"it took longer than {BuildTimeout.TotalMinutes:0} minutes", error);
            }
            catch (RpcException error)
            {
                if (!await _retry.WaitAsync(error, failures++, BackOff.Reconnects, timeout.Token).ConfigureAwait(false))
                {
                    throw _errors.Of(error, $"build the image '{_settings.Image}'");
                }
            }
        }
    }

    private async Task<T> CallAsync<T>(string action, Func<Api, CallOptions, AsyncUnaryCall<T>> call, CancellationToken cancellationToken, TimeSpan? timeout = null)
    {
        var key = Guid.NewGuid().ToString();
        var refused = false;
        for (var attempt = 0; ; attempt++)
        {
            Session? session = null;
            try
            {
                session = await SignInAsync(cancellationToken).ConfigureAwait(false);
                var headers = Headers(key, attempt);
                headers.Add("x-modal-auth-token", session.Token);
                return await SendAsync(call, headers, timeout ?? CallTimeout, cancellationToken).ConfigureAwait(false);
            }
            catch (RpcException error)
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (error.StatusCode == StatusCode.Unauthenticated && session is not null && !refused)
                {
                    refused = true;
                    Interlocked.CompareExchange(ref _session, null, session);
                }
                else if (!await _retry.WaitAsync(error, attempt, BackOff.Calls, cancellationToken).ConfigureAwait(false))
                {
                    throw _errors.Of(error, session is null ? "sign in" : action);
                }
            }
        }
    }

    private async Task<T> SendAsync<T>(Func<Api, CallOptions, AsyncUnaryCall<T>> call, Metadata headers, TimeSpan timeout, CancellationToken cancellationToken)
    {
        using var sent = call(_api, new CallOptions(headers, TimeProvider.System.GetUtcNow().UtcDateTime + timeout, cancellationToken));
        return await sent.ResponseAsync.ConfigureAwait(false);
    }

    private async Task<Metadata> HeadersAsync(CancellationToken cancellationToken)
    {
        var session = await SignInAsync(cancellationToken).ConfigureAwait(false);
        var headers = Headers(Guid.NewGuid().ToString(), 0);
        headers.Add("x-modal-auth-token", session.Token);
        return headers;
    }

    private Metadata Headers(string idempotencyKey, int attempt) => new()
    {
        { "x-modal-client-type", ClientType },
        { "x-modal-client-version", ClientVersion },
        { "x-modal-libmodal-version", LibraryVersion },
        { "x-modal-token-id", _settings.TokenId },
        { "x-modal-token-secret", _settings.TokenSecret },
        { "x-idempotency-key", idempotencyKey },
        { "x-retry-attempt", attempt.ToString(System.Globalization.CultureInfo.InvariantCulture) },
    };

    private async Task<Session> SignInAsync(CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref _session) is { } current && _host.Time.GetUtcNow() < current.RefreshAt)
        {
            return current;
        }

        await _signingIn.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var now = _host.Time.GetUtcNow();
            if (_session is { } other && now < other.RefreshAt)
            {
                return other;
            }

            var answer = await SendAsync((api, options) => api.AuthTokenGetAsync(new AuthTokenGetRequest(), options), Headers(Guid.NewGuid().ToString(), 0), CallTimeout, cancellationToken).ConfigureAwait(false);

            // In the middle of its life, so that a call never starts with a token that ends on the way.
            var refreshAt = JsonWebToken.Expiry(answer.Token) is { } expiry ? now + ((expiry - now) / 2) : DateTimeOffset.MaxValue;
            _session = new Session(answer.Token, refreshAt);
            return _session;
        }
        finally
        {
            _signingIn.Release();
        }
    }

    private sealed record Session(string Token, DateTimeOffset RefreshAt)
    {
        public override string ToString() => $"{nameof(Session)} {{ {nameof(RefreshAt)} = {RefreshAt} }}";
    }

    private sealed record Setup(string AppId, string ImageId);
}

/// <summary>A sandbox that runs.</summary>
/// <param name="SandboxId">Its id.</param>
/// <param name="TaskId">The id by which its command router knows it.</param>
/// <param name="Access">The way to that router, as it was at first.</param>
internal sealed record ModalTask(string SandboxId, string TaskId, CommandRouterAccess Access)
{
    /// <summary>Without the token.</summary>
    public override string ToString() => $"{nameof(ModalTask)} {{ {nameof(SandboxId)} = {SandboxId}, {nameof(TaskId)} = {TaskId} }}";
}
