using System.Globalization;
using System.Net;
using System.Text;
using DeepRecall.Backends.OpenAI;
using Microsoft.Extensions.Logging;

namespace DeepRecall.Backends.Http;

/// <summary>The one layer of retries, for every provider: after 408, 429, 5xx and broken connections, with the wait that the provider asks for.</summary>
/// <remarks>
/// A whole response is read here, so that a connection that breaks in it is tried again too; of a stream the first piece is. Error
/// bodies are rid of keys. What runs out of time is a <see cref="TimeoutException"/>, which no caller can take for a cancellation.
/// </remarks>
internal sealed partial class RetryHandler(BackendSettings settings, TimeProvider time, ILogger logger, HttpMessageHandler innerHandler) : DelegatingHandler(innerHandler)
{
    private static readonly TimeSpan MaxBackOff = TimeSpan.FromSeconds(30);

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (request.Content is not null)
        {
            await request.Content.LoadIntoBufferAsync(cancellationToken).ConfigureAwait(false);
        }

        for (var attempt = 0; ; attempt++)
        {
            var mayRetry = attempt < settings.Options.MaxRetries;
            TimeSpan? asked = null;
            string reason;
            try
            {
                var response = await AttemptAsync(request, cancellationToken).ConfigureAwait(false);
                if (!mayRetry || !await IsTransientAsync(response, cancellationToken).ConfigureAwait(false))
                {
                    return response;
                }

                asked = RetryAfter(response) ?? GoogleRetryInfo.Find(await response.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false));
                if (asked > settings.Options.Timeout)
                {
                    return response; // the provider will not be ready within any time that a caller waits
                }

                reason = $"status {(int)response.StatusCode}";
                response.Dispose();
            }
            catch (Exception error) when (mayRetry && error is HttpRequestException or IOException && !cancellationToken.IsCancellationRequested)
            {
                reason = error.GetType().Name;
            }

            var wait = WaitBefore(attempt, asked);
            LogRetry(logger, settings.Name, attempt + 1, settings.Options.MaxRetries, reason, wait.TotalSeconds);
            await Task.Delay(wait, time, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>An exponential back-off with jitter; never less than what the provider asked for.</summary>
    private TimeSpan WaitBefore(int attempt, TimeSpan? asked)
    {
        var backOff = settings.Options.RetryBaseDelay * Math.Pow(2, attempt);
        backOff = backOff < MaxBackOff ? backOff : MaxBackOff;
#pragma warning disable CA5394 // jitter is no secret
        var jitter = backOff * Random.Shared.NextDouble() / 2;
#pragma warning restore CA5394
        return asked is { } least ? least + (jitter / 4) : (backOff / 2) + jitter;
    }

    private async Task<HttpResponseMessage> AttemptAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(settings.Options.Timeout, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, limit.Token);
        HttpResponseMessage? response = null;
        try
        {
            response = await base.SendAsync(request, linked.Token).ConfigureAwait(false);
            if (!response.IsSuccessStatusCode)
            {
                await RedactAsync(response, linked.Token).ConfigureAwait(false);
            }
            else if (IsStream(response))
            {
                response.Content = await BeginStreamAsync(response.Content, linked.Token).ConfigureAwait(false);
            }
            else
            {
                await response.Content.LoadIntoBufferAsync(linked.Token).ConfigureAwait(false);
                if (settings.Provider.Family == ProviderFamily.OpenAI
                    && OpenAIErrors.StatusOf(await response.Content.ReadAsByteArrayAsync(linked.Token).ConfigureAwait(false)) is { } status)
                {
                    response.StatusCode = (HttpStatusCode)status;
                    await RedactAsync(response, linked.Token).ConfigureAwait(false);
                }
            }

            return response;
        }
        catch (Exception error)
        {
            response?.Dispose();
            if (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested && error is OperationCanceledException or HttpRequestException or IOException)
            {
                throw TimeoutStream.RunOut(settings, error);
            }

            throw;
        }
    }

    private static bool IsStream(HttpResponseMessage response) =>
        response.Content.Headers.ContentType?.MediaType is "text/event-stream" or "application/x-ndjson";

    private async Task<HttpContent> BeginStreamAsync(HttpContent content, CancellationToken cancellationToken)
    {
        var body = await content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        var first = new byte[4096];
        var length = await body.ReadAsync(first, cancellationToken).ConfigureAwait(false);
        var wrapped = new StreamContent(new TimeoutStream(first.AsMemory(0, length), body, settings, time));
        foreach (var (name, values) in content.Headers)
        {
            wrapped.Headers.TryAddWithoutValidation(name, values);
        }

        return wrapped;
    }

    private async Task RedactAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var type = response.Content.Headers.ContentType;
        var text = await response.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false);
        response.Content = new StringContent(settings.Redact(text), Encoding.UTF8);
        response.Content.Headers.ContentType = type;
    }

    private static async Task<bool> IsTransientAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        if (response.StatusCode == HttpStatusCode.TooManyRequests)
        {
            // Gemini speaks of quota and billing for limits of the minute too, but then says when to come back.
            var body = await response.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false);
            return GoogleRetryInfo.Find(body) is not null || !BackendErrors.IsQuota(body);
        }

        return response.StatusCode == HttpStatusCode.RequestTimeout || (int)response.StatusCode >= 500;
    }

    private TimeSpan? RetryAfter(HttpResponseMessage response)
    {
        if (response.Headers.TryGetValues("retry-after-ms", out var values) && double.TryParse(values.FirstOrDefault(), NumberStyles.Float, CultureInfo.InvariantCulture, out var milliseconds) && milliseconds is >= 0 and < int.MaxValue)
        {
            return TimeSpan.FromMilliseconds(milliseconds);
        }

        var header = response.Headers.RetryAfter;
        var wait = header?.Delta ?? (header?.Date is { } date ? date - time.GetUtcNow() : null);
        return wait is { } asked ? (asked > TimeSpan.Zero ? asked : TimeSpan.Zero) : null;
    }

    [LoggerMessage(20, LogLevel.Warning, "The backend {Backend} failed ({Reason}); retry {Attempt} of {MaxRetries} in {Seconds:0.0} s.")]
    private static partial void LogRetry(ILogger logger, string backend, int attempt, int maxRetries, string reason, double seconds);
}
