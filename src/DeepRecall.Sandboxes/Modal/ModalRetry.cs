using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxes.Modal.Wire;
using Google.Protobuf;
using Grpc.Core;

namespace DeepRecall.Sandboxes.Modal;

/// <summary>Which failures of a call are tried again, and when.</summary>
/// <remarks>Every call may be made twice, by its idempotency key, id or offset. A server that throttles says in a trailer how long to wait.</remarks>
internal sealed class ModalRetry(TimeProvider time)
{
    private const string DetailsTrailer = "grpc-status-details-bin";

    private static readonly TimeSpan LongestThrottle = TimeSpan.FromSeconds(60);

    /// <summary>How long the server asks to wait, when it throttles.</summary>
    public static TimeSpan? RetryAfter(RpcException error)
    {
        if (error.Trailers.GetValueBytes(DetailsTrailer) is not { } bytes)
        {
            return null;
        }

        try
        {
            foreach (var detail in ErrorStatus.Parser.ParseFrom(bytes).Details)
            {
                if (detail.TypeUrl.EndsWith("/" + RPCRetryPolicy.Descriptor.FullName, StringComparison.Ordinal))
                {
                    return TimeSpan.FromSeconds(Math.Max(0, RPCRetryPolicy.Parser.ParseFrom(detail.Value).RetryAfterSecs));
                }
            }
        }
        catch (InvalidProtocolBufferException)
        {
            // Details of a form that is not known here.
        }

        return null;
    }

    /// <summary>Waits before the next attempt.</summary>
    /// <param name="error">Why the last one failed.</param>
    /// <param name="attempt">Which one that was; the first is 0.</param>
    /// <param name="backOff">How many there are, and how long the waits.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>False, at once, when there is to be no further attempt.</returns>
    public async Task<bool> WaitAsync(RpcException error, int attempt, BackOff backOff, CancellationToken cancellationToken)
    {
        var asked = RetryAfter(error);
        if (attempt + 1 >= backOff.Attempts || asked > LongestThrottle || (asked is null && !MayPass(error.StatusCode)))
        {
            return false;
        }

        await Task.Delay(backOff.WaitAfter(attempt, asked), time, cancellationToken).ConfigureAwait(false);
        return true;
    }

    private static bool MayPass(StatusCode status) =>
        status is StatusCode.Unavailable or StatusCode.DeadlineExceeded or StatusCode.Cancelled or StatusCode.Internal or StatusCode.Unknown;
}
