using System.Diagnostics.CodeAnalysis;
using System.Net;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Cloud;

/// <summary>Sends the calls of a service's API: retries what may be retried, within bounds, and makes exceptions of errors.</summary>
[SuppressMessage("Design", "CA1001", Justification = "The client holds nothing but the handler, which is the host's.")]
internal sealed class CloudHttp(CloudHost host, CloudErrors errors)
{
    /// <summary>Longer than this no start of a sandbox waits for a rate limit.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(60);

    private readonly HttpClient _client = new(host.Handler, disposeHandler: false) { Timeout = Timeout.InfiniteTimeSpan };

    public CloudErrors Errors => errors;

    public BackOff BackOff { get; init; } = BackOff.Calls;

    /// <summary>How long one attempt may take.</summary>
    public TimeSpan AttemptTimeout { get; init; } = TimeSpan.FromSeconds(100);

    /// <summary>
    /// Whether a 503 that says when to come again was told before anything was done. Not where a proxy stands between the service and a
    /// program that may have run.
    /// </summary>
    public bool RefusesBeforeItActs { get; init; } = true;

    /// <summary>Sends a request, again after errors that may pass, and returns the answer, whose body has been read.</summary>
    /// <param name="action">What is tried, as in "create a sandbox"; it stands in the exception.</param>
    /// <param name="make">Makes the request, anew for each attempt.</param>
    /// <param name="repeatable">Whether the request may be sent again when nobody knows whether it was carried out.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <param name="accepted">Error statuses that are answers here.</param>
    /// <exception cref="SandboxException">The service refused, failed, or was not reached.</exception>
    public Task<HttpResponseMessage> SendAsync(
        string action,
        Func<HttpRequestMessage> make,
        bool repeatable,
        CancellationToken cancellationToken,
        params IReadOnlyCollection<HttpStatusCode> accepted) =>
        SendAsync(action, make, repeatable, AttemptTimeout, accepted, cancellationToken);

    /// <summary>Deletes what a request names.</summary>
    /// <returns>Whether it was there.</returns>
    /// <exception cref="SandboxException">The service refused, failed, or was not reached.</exception>
    public async Task<bool> DeleteAsync(string action, Func<HttpRequestMessage> make, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(action, make, repeatable: true, CloudDeletion.Attempt, [HttpStatusCode.NotFound], cancellationToken).ConfigureAwait(false);
        return response.IsSuccessStatusCode;
    }

    private async Task<HttpResponseMessage> SendAsync(
        string action,
        Func<HttpRequestMessage> make,
        bool repeatable,
        TimeSpan timeout,
        IReadOnlyCollection<HttpStatusCode> accepted,
        CancellationToken cancellationToken)
    {
        for (var attempt = 0; ; attempt++)
        {
            var last = attempt + 1 >= BackOff.Attempts;
            TimeSpan? asked = null;
            try
            {
                var response = await AttemptAsync(make, timeout, cancellationToken).ConfigureAwait(false);
                if (response.IsSuccessStatusCode || accepted.Contains(response.StatusCode))
                {
                    return response;
                }

                using (response)
                {
                    var body = await response.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false);
                    asked = RetryAfter(response);
                    var error = errors.Refused(action, response.StatusCode, body, asked);
                    if (last || asked > LongestWait || !MayPass(response.StatusCode, error.Kind, repeatable, RefusesBeforeItActs && asked is not null))
                    {
                        throw error;
                    }
                }
            }
            catch (HttpRequestException error)
            {
                if (last || !(repeatable || NeverSent(error)))
                {
                    throw errors.Failed(SandboxErrorKind.Connection, action, $"the connection failed ({error.Message})", error);
                }
            }
            catch (TimeoutException error)
            {
                if (last || !repeatable)
                {
                    throw errors.Failed(SandboxErrorKind.Timeout, action, $"no answer within {timeout.TotalSeconds:0} seconds", error);
                }
            }

            await Task.Delay(BackOff.WaitAfter(attempt, asked), host.Time, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Sends a request once, and returns the answer as soon as its headers are there: for streams and uploads.</summary>
    public Task<HttpResponseMessage> SendOnceAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
        _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);

    /// <summary>Throws what an answer that is an error says.</summary>
    public async Task ThrowIfRefusedAsync(string action, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        if (!response.IsSuccessStatusCode)
        {
            var body = await response.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false);
            throw errors.Refused(action, response.StatusCode, body, RetryAfter(response));
        }
    }

    /// <summary>Whether a request failed before anything of it was sent.</summary>
    public static bool NeverSent(HttpRequestException error) =>
        error.HttpRequestError is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError or HttpRequestError.ProxyTunnelError;

    private async Task<HttpResponseMessage> AttemptAsync(Func<HttpRequestMessage> make, TimeSpan timeout, CancellationToken cancellationToken)
    {
        using var request = make();
        using var limit = new CancellationTokenSource(timeout, host.Time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, limit.Token);
        try
        {
            return await _client.SendAsync(request, HttpCompletionOption.ResponseContentRead, linked.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException error) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException(error.Message, error);
        }
    }

    private static bool MayPass(HttpStatusCode status, SandboxErrorKind kind, bool repeatable, bool refused) => status switch
    {
        HttpStatusCode.TooManyRequests => kind == SandboxErrorKind.RateLimit,
        HttpStatusCode.ServiceUnavailable => repeatable || refused,
        HttpStatusCode.RequestTimeout or HttpStatusCode.InternalServerError or HttpStatusCode.BadGateway or HttpStatusCode.GatewayTimeout => repeatable,
        _ => false,
    };

    private TimeSpan? RetryAfter(HttpResponseMessage response)
    {
        var header = response.Headers.RetryAfter;
        var wait = header?.Delta ?? (header?.Date is { } date ? date - host.Time.GetUtcNow() : null);
        return wait is { } asked ? (asked > TimeSpan.Zero ? asked : TimeSpan.Zero) : null;
    }
}
