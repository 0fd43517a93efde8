using System.Net;

namespace DeepRecall.Sandboxes.Connect;

/// <summary>An error of a Connect service, or of the way to it.</summary>
internal sealed class ConnectException(string code, string message, Exception? cause = null) : Exception(message, cause)
{
    public const string Unavailable = "unavailable";
    public const string NotFound = "not_found";
    public const string Unauthenticated = "unauthenticated";

    /// <summary>The protocol's name of the error, for example <c>not_found</c>.</summary>
    public string Code { get; } = code;

    /// <summary>Whether the same call may succeed later; what is refused for good may not.</summary>
    public bool IsTransient => Code is Unavailable or "unknown" or "internal" or "aborted" or "canceled" or "deadline_exceeded" or "resource_exhausted";

    /// <summary>The code of an answer that is not in the protocol's form, as of a proxy on the way.</summary>
    public static string CodeOf(HttpStatusCode status) => (int)status switch
    {
        400 => "internal",
        401 => Unauthenticated,
        403 => "permission_denied",
        404 => "unimplemented",
        429 or 502 or 503 or 504 => Unavailable,
        _ => "unknown",
    };

    /// <summary>The status that an error of a service corresponds to, for what is said to users.</summary>
    public HttpStatusCode Status => Code switch
    {
        Unauthenticated => HttpStatusCode.Unauthorized,
        "permission_denied" => HttpStatusCode.Forbidden,
        NotFound => HttpStatusCode.NotFound,
        "already_exists" or "aborted" => HttpStatusCode.Conflict,
        "resource_exhausted" => HttpStatusCode.TooManyRequests,
        "invalid_argument" or "failed_precondition" or "out_of_range" => HttpStatusCode.BadRequest,
        "deadline_exceeded" => HttpStatusCode.GatewayTimeout,
        Unavailable => HttpStatusCode.ServiceUnavailable,
        "unimplemented" => HttpStatusCode.NotImplemented,
        _ => HttpStatusCode.InternalServerError,
    };
}
