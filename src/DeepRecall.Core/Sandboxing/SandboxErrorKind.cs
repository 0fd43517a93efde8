namespace DeepRecall.Sandboxing;

/// <summary>Why a sandbox failed, told alike for all environments.</summary>
public enum SandboxErrorKind
{
    /// <summary>Something else.</summary>
    Other,

    /// <summary>The key is missing or wrong, or has no right to what was asked (401, 403).</summary>
    Authentication,

    /// <summary>Credit or quota is used up (402, or an answer that says so); waiting does not help.</summary>
    Quota,

    /// <summary>There is no such image, template, snapshot or sandbox (404, or an answer that says so).</summary>
    NotFound,

    /// <summary>The sandbox is not in a state for it (409, 410).</summary>
    Conflict,

    /// <summary>Too many requests or sandboxes at a time (429), also after the retries.</summary>
    RateLimit,

    /// <summary>The request is malformed for this service (other 4xx), as with an option that it does not take.</summary>
    BadRequest,

    /// <summary>The service failed (5xx), also after the retries.</summary>
    Server,

    /// <summary>The sandbox was not there in time.</summary>
    Timeout,

    /// <summary>The connection could not be made, or was lost and could not be made again.</summary>
    Connection,
}
