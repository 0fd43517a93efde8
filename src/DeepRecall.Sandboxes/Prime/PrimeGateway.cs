using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Runtime.ExceptionServices;
using System.Text.Json;
using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Prime;

/// <summary>One sandbox of Prime Intellect, by its gateway: files, commands, and the token for both, which is renewed before it expires.</summary>
[SuppressMessage("Design", "CA1001", Justification = "The semaphore holds nothing that needs an end.")]
internal sealed class PrimeGateway
{
    /// <summary>Where the worker and uploads are; every image has it.</summary>
    private const string Folder = "/tmp/";

    private static readonly TimeSpan RenewEarly = TimeSpan.FromSeconds(60);

    private readonly PrimeClient _client;
    private readonly CloudHost _host;
    private readonly CloudHttp _http;
    private readonly SemaphoreSlim _renewing = new(1, 1);
    private readonly Lazy<Task> _delete;
    private PrimeAuth _auth;

    public PrimeGateway(string id, PrimeAuth auth, PrimeClient client, CloudHost host, BackOff calls)
    {
        Id = id;
        _auth = auth;
        _client = client;
        _host = host;
        _http = new CloudHttp(host, client.NewGatewayErrors(auth)) { BackOff = calls, AttemptTimeout = TimeSpan.FromMinutes(6), RefusesBeforeItActs = false };
        _delete = new Lazy<Task>(() => client.DiscardAsync(id));
    }

    public string Id { get; }

    public string Display => $"the Prime sandbox {Id}";

    public CloudErrors Errors => _http.Errors;

    /// <summary>Where the sandbox is reached; tokens change, this does not.</summary>
    public Uri Address => new($"{_auth.GatewayUrl.TrimEnd('/')}/{_auth.UserNs}/{_auth.JobId}/");

    /// <summary>Puts a token that is valid for a while onto a request.</summary>
    /// <param name="request">The request.</param>
    /// <param name="renew">Whether the token that was last used was refused.</param>
    /// <param name="cancellationToken">Ends the wait for a new token.</param>
    public async ValueTask AuthorizeAsync(HttpRequestMessage request, bool renew, CancellationToken cancellationToken)
    {
        var auth = Volatile.Read(ref _auth);
        if (renew || auth.ExpiresAt is { } end && end - _host.Time.GetUtcNow() < RenewEarly)
        {
            auth = await RenewAsync(auth, cancellationToken).ConfigureAwait(false);
        }

        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", auth.Token);
    }

    /// <summary>Writes a file while its bytes come, and returns its path.</summary>
    public async Task<string> UploadAsync(string name, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken)
    {
        using var callback = new CallbackContent(write);
        try
        {
            using var request = await MakeUploadAsync(name, callback, cancellationToken).ConfigureAwait(false);
            using var response = await _http.SendOnceAsync(request, cancellationToken).ConfigureAwait(false);
            await _http.ThrowIfRefusedAsync("upload a file", response, cancellationToken).ConfigureAwait(false);
            return await ReadPathAsync(response, name, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception error) when (callback.Failure is not null && error is HttpRequestException or IOException)
        {
            ExceptionDispatchInfo.Throw(callback.Failure); // the source's own failure, and not one of the connection
            throw;
        }
        catch (Exception error) when (error is HttpRequestException or IOException or JsonException)
        {
            throw Errors.Failed(SandboxErrorKind.Connection, "upload a file", error.Message, error);
        }
    }

    /// <summary>Writes a file of bytes that are at hand, again if need be, and returns its path.</summary>
    public async Task<string> UploadAsync(string name, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        for (var renew = false; ; renew = true)
        {
            using var authorized = new HttpRequestMessage();
            await AuthorizeAsync(authorized, renew, cancellationToken).ConfigureAwait(false);
            using var response = await _http.SendAsync(
                "upload a file",
                () => Upload(name, new ReadOnlyMemoryContent(bytes), authorized.Headers.Authorization),
                repeatable: true,
                cancellationToken,
                renew ? [] : [HttpStatusCode.Unauthorized]).ConfigureAwait(false);
            if (response.IsSuccessStatusCode)
            {
                return await ReadPathAsync(response, name, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Runs a command in a shell and returns what it wrote.</summary>
    /// <param name="command">The command.</param>
    /// <param name="seconds">How long it may run.</param>
    /// <param name="repeatable">Whether it may be run again when nobody knows whether it was.</param>
    /// <param name="cancellationToken">Ends the wait, and not the command.</param>
    public async Task<PrimeExecResult> ExecAsync(string command, int seconds, bool repeatable, CancellationToken cancellationToken)
    {
        for (var renew = false; ; renew = true)
        {
            using var authorized = new HttpRequestMessage();
            await AuthorizeAsync(authorized, renew, cancellationToken).ConfigureAwait(false);
            using var response = await _http.SendAsync(
                "run a command",
                () => new HttpRequestMessage(HttpMethod.Post, new Uri(Address, "exec"))
                {
                    Content = JsonContent.Create(new PrimeExec(command, Id, seconds), PrimeJson.Default.PrimeExec),
                    Headers = { Authorization = authorized.Headers.Authorization },
                },
                repeatable,
                cancellationToken,
                renew ? [] : [HttpStatusCode.Unauthorized]).ConfigureAwait(false);
            if (response.IsSuccessStatusCode)
            {
                try
                {
                    return await response.Content.ReadFromJsonAsync(PrimeJson.Default.PrimeExecResult, cancellationToken).ConfigureAwait(false)
                        ?? throw Errors.Failed(SandboxErrorKind.Other, "run a command", "the answer is null");
                }
                catch (JsonException error)
                {
                    throw Errors.Failed(SandboxErrorKind.Other, "run a command", error.Message, error);
                }
            }
        }
    }

    public async Task<bool> IsGoneAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await _client.FindAsync(Id, cancellationToken).ConfigureAwait(false) is not { } info || PrimeClient.HasEnded(info);
        }
        catch (SandboxException)
        {
            return false; // not known
        }
    }

    /// <summary>Deletes the sandbox, once. Never throws.</summary>
    public Task DeleteAsync() => _delete.Value;

    private async Task<HttpRequestMessage> MakeUploadAsync(string name, HttpContent content, CancellationToken cancellationToken)
    {
        using var authorized = new HttpRequestMessage();
        await AuthorizeAsync(authorized, renew: false, cancellationToken).ConfigureAwait(false);
        var request = Upload(name, content, authorized.Headers.Authorization);
        request.Headers.TransferEncodingChunked = true;
        return request;
    }

    private HttpRequestMessage Upload(string name, HttpContent content, AuthenticationHeaderValue? authorization) => new(
        HttpMethod.Post,
        new Uri(Address, $"upload?path={Uri.EscapeDataString(Folder + name)}&sandbox_id={Uri.EscapeDataString(Id)}"))
    {
        Content = new MultipartFormDataContent { { content, "file", name } },
        Headers = { Authorization = authorization },
    };

    private static async Task<string> ReadPathAsync(HttpResponseMessage response, string name, CancellationToken cancellationToken)
    {
        var uploaded = await response.Content.ReadFromJsonAsync(PrimeJson.Default.PrimeUploaded, cancellationToken).ConfigureAwait(false);
        return CloudOptions.Blank(uploaded?.Path) ?? Folder + name;
    }

    private async Task<PrimeAuth> RenewAsync(PrimeAuth refused, CancellationToken cancellationToken)
    {
        await _renewing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (ReferenceEquals(_auth, refused))
            {
                var renewed = await _client.OpenGatewayAsync(Id, cancellationToken).ConfigureAwait(false);
                Errors.AddSecret(renewed.Token);
                Volatile.Write(ref _auth, renewed);
            }

            return _auth;
        }
        finally
        {
            _renewing.Release();
        }
    }
}
