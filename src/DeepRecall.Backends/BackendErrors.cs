using System.ClientModel;
using System.Net;
using Anthropic.Exceptions;
using Azure;
using DeepRecall.Backends.Gemini;

namespace DeepRecall.Backends;

/// <summary>Why a backend failed, told alike for all providers. The exceptions stay the providers' own.</summary>
public enum BackendErrorKind
{
    /// <summary>Something else.</summary>
    Other,

    /// <summary>The key is wrong, or has no right to what was asked (401, 403).</summary>
    Authentication,

    /// <summary>There is no such model, deployment or address (404).</summary>
    NotFound,

    /// <summary>Credit or quota is used up (402, or 429 that says so); waiting does not help.</summary>
    Quota,

    /// <summary>Too many requests or tokens at a time (429), also after the retries.</summary>
    RateLimit,

    /// <summary>The prompt is longer than the model's context window.</summary>
    ContextLength,

    /// <summary>A content filter refused the prompt or the reply.</summary>
    ContentFilter,

    /// <summary>The request is malformed for this provider (other 4xx).</summary>
    BadRequest,

    /// <summary>The provider failed (5xx, 408), also after the retries.</summary>
    Server,

    /// <summary>No answer came within <see cref="BackendOptions.Timeout"/>.</summary>
    Timeout,

    /// <summary>The connection could not be made, or broke.</summary>
    Transport,
}

/// <summary>Tells the kinds of backends' exceptions.</summary>
public static class BackendErrors
{
    /// <summary>The key of the kind's name in <see cref="Exception.Data"/>.</summary>
    internal const string Key = "deeprecall.backend_error";

    /// <summary>Gets why a backend failed.</summary>
    /// <param name="exception">An exception that a client of <see cref="Backend.CreateChatClient"/> threw.</param>
    /// <returns>The kind, or <see langword="null"/> when the exception is not a backend's.</returns>
    public static BackendErrorKind? GetBackendErrorKind(this Exception exception)
    {
        ArgumentNullException.ThrowIfNull(exception);
        return exception.Data[Key] is string name && Enum.TryParse<BackendErrorKind>(name, out var kind) ? kind : null;
    }

    internal static void Tag(Exception exception)
    {
        if (exception is not OperationCanceledException || exception.InnerException is TimeoutException)
        {
            exception.Data[Key] = Classify(exception).ToString();
        }
    }

    private static BackendErrorKind Classify(Exception exception)
    {
        for (var cause = exception; cause is not null; cause = cause.InnerException)
        {
            if (cause is TimeoutException)
            {
                return BackendErrorKind.Timeout;
            }
        }

        if (exception is GeminiException { StatusCode: HttpStatusCode.TooManyRequests, RetryDelay: not null })
        {
            return BackendErrorKind.RateLimit;
        }

        var text = exception switch
        {
            AnthropicApiException anthropic => $"{exception.Message} {anthropic.ResponseBody}",

            // The SDK's message leaves out a body that is not in OpenAI's form, and of one that is everything but message, type and code.
            ClientResultException result => $"{exception.Message} {result.GetRawResponse()?.Content}",
            _ => exception.Message,
        };
        return StatusOf(exception) switch
        {
            { } status => Classify(status, text),
            null when exception is HttpRequestException or IOException or AnthropicIOException || exception.InnerException is HttpRequestException or IOException => BackendErrorKind.Transport,
            null => BackendErrorKind.Other,
        };
    }

    private static BackendErrorKind Classify(int status, string text)
    {
        if (status is 400 or 413 or 422 or 500 && Says(text, "context_length_exceeded", "maximum context length", "context window", "prompt is too long", "input token count", "too many tokens", "exceeds the maximum number of tokens", "context length"))
        {
            return BackendErrorKind.ContextLength;
        }

        if (status is 400 or 403 && Says(text, "content_filter", "content management policy", "ResponsibleAIPolicyViolation", "content filtering"))
        {
            return BackendErrorKind.ContentFilter;
        }

        return status switch
        {
            400 when Says(text, "API_KEY_INVALID", "API key not valid") => BackendErrorKind.Authentication,
            401 or 403 => BackendErrorKind.Authentication,
            402 => BackendErrorKind.Quota,
            404 => BackendErrorKind.NotFound,
            429 when IsQuota(text) => BackendErrorKind.Quota,
            429 => BackendErrorKind.RateLimit,
            408 or >= 500 => BackendErrorKind.Server,
            0 => BackendErrorKind.Transport,
            < 400 => BackendErrorKind.Other,
            _ => BackendErrorKind.BadRequest,
        };
    }

    /// <summary>Whether a 429 says that waiting will not help.</summary>
    internal static bool IsQuota(string text) => Says(text, "insufficient_quota", "exceeded your current quota", "credit balance", "billing_not_active", "billing_hard_limit");

    private static int? StatusOf(Exception exception) => exception switch
    {
        ClientResultException result => result.Status,
        AnthropicApiException anthropic => (int)anthropic.StatusCode,
        RequestFailedException azure => azure.Status,
        GeminiException gemini => (int)gemini.StatusCode,
        HttpRequestException { StatusCode: { } status } => (int)status,
        _ => (exception.InnerException as HttpRequestException)?.StatusCode is { } status ? (int)status : null,
    };

    private static bool Says(string text, params string[] words) =>
        words.Any(word => text.Contains(word, StringComparison.OrdinalIgnoreCase));
}
