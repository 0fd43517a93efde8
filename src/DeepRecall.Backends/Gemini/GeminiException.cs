using System.Net;

namespace DeepRecall.Backends.Gemini;

/// <summary>The Gemini API refused a request, or answered with what is no answer.</summary>
public sealed class GeminiException : Exception
{
    internal GeminiException(HttpStatusCode statusCode, string? status, string message, Exception? innerException = null)
        : base(message, innerException)
    {
        StatusCode = statusCode;
        Status = status;
    }

    /// <summary>Gets the HTTP status.</summary>
    public HttpStatusCode StatusCode { get; }

    /// <summary>Gets Google's name of the error, for example <c>RESOURCE_EXHAUSTED</c>, where it tells one.</summary>
    public string? Status { get; }
}
