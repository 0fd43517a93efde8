using System.Net;

namespace DeepRecall.Backends.Gemini;

/// <summary>The Gemini API refused a request, or answered with what is no answer.</summary>
public sealed class GeminiException : Exception
{
    internal GeminiException(HttpStatusCode statusCode, string? status, string message, Exception? innerException = null, TimeSpan? retryDelay = null)
        : base(message, innerException)
    {
        RetryDelay = retryDelay;
        StatusCode = statusCode;
        Status = status;
    }

    /// <summary>Gets the HTTP status.</summary>
    public HttpStatusCode StatusCode { get; }

    /// <summary>Gets Google's name of the error, for example <c>RESOURCE_EXHAUSTED</c>, where it tells one.</summary>
    public string? Status { get; }

    /// <summary>Gets how long the API asks to wait before the next request, where it tells that and a wait helps.</summary>
    public TimeSpan? RetryDelay { get; }
}
