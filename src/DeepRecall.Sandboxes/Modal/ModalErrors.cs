using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxes.Modal.Wire;
using DeepRecall.Sandboxing;
using Grpc.Core;

namespace DeepRecall.Sandboxes.Modal;

/// <summary>What a failure of Modal's API means to the user of the library.</summary>
internal sealed class ModalErrors(ModalSettings settings)
{
    private readonly CloudErrors _errors = new("Modal", Hint, settings.TokenSecret, settings.TokenId);

    /// <summary>An error that a call ended with.</summary>
    /// <param name="error">The error.</param>
    /// <param name="action">What was tried, as in "create a sandbox".</param>
    public SandboxException Of(RpcException error, string action)
    {
        var wait = ModalRetry.RetryAfter(error);
        var kind = KindOf(error.StatusCode, wait is not null);
        var said = error.Status.Detail.Length > 0 ? $"{error.StatusCode}: {error.Status.Detail}" : $"{error.StatusCode}";
        return _errors.Failed(kind, action, said, error, wait is { } asked ? $" It asks to wait for {asked.TotalSeconds:0.#} seconds." : string.Empty);
    }

    /// <summary>Any other failure.</summary>
    public SandboxException Failed(SandboxErrorKind kind, string action, string reason, Exception? cause = null) => _errors.Failed(kind, action, reason, cause);

    /// <summary>How a sandbox ended, in words; <see langword="null"/> while it runs.</summary>
    public string? EndOf(GenericResult? result) => result?.Status switch
    {
        null or GenericResult.Types.GenericStatus.Unspecified => null,
        GenericResult.Types.GenericStatus.Timeout => $"its time was over ({nameof(ModalSandboxOptions)}.{nameof(ModalSandboxOptions.Timeout)} is {settings.Timeout})",
        GenericResult.Types.GenericStatus.IdleTimeout => "it was idle for too long",
        GenericResult.Types.GenericStatus.MemoryManagerEviction => "it used more memory than it may",
        GenericResult.Types.GenericStatus.Terminated => "it was terminated",
        _ => _errors.Redact($"{result.Status} {result.Exception}".TrimEnd()),
    };

    private static SandboxErrorKind KindOf(StatusCode status, bool throttled) => status switch
    {
        StatusCode.Unauthenticated or StatusCode.PermissionDenied => SandboxErrorKind.Authentication,
        StatusCode.NotFound => SandboxErrorKind.NotFound,
        StatusCode.AlreadyExists or StatusCode.Aborted => SandboxErrorKind.Conflict,
        StatusCode.InvalidArgument or StatusCode.OutOfRange => SandboxErrorKind.BadRequest,
        StatusCode.ResourceExhausted when throttled => SandboxErrorKind.RateLimit,
        StatusCode.ResourceExhausted or StatusCode.FailedPrecondition => SandboxErrorKind.Quota,
        StatusCode.DeadlineExceeded => SandboxErrorKind.Timeout,
        StatusCode.Unavailable or StatusCode.Cancelled => SandboxErrorKind.Connection,
        _ => SandboxErrorKind.Server,
    };

    private static string? Hint(SandboxErrorKind kind) => kind switch
    {
        SandboxErrorKind.Authentication => $"Check {nameof(ModalSandboxOptions)}.{nameof(ModalSandboxOptions.TokenId)} and {nameof(ModalSandboxOptions.TokenSecret)}, and what the token may do.",
        SandboxErrorKind.Quota => "Check the account's limits and its credit.",
        SandboxErrorKind.NotFound => $"Check {nameof(ModalSandboxOptions)}.{nameof(ModalSandboxOptions.Environment)} and {nameof(ModalSandboxOptions.Image)}.",
        SandboxErrorKind.BadRequest => $"Check the image, the resources and the timeout in {nameof(ModalSandboxOptions)}.",
        SandboxErrorKind.Connection => $"Check the network and {nameof(ModalSandboxOptions)}.{nameof(ModalSandboxOptions.ServerUrl)}.",
        _ => null,
    };
}
