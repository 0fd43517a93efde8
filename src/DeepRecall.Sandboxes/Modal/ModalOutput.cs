using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxes.Modal.Wire;
using DeepRecall.Sandboxing;
using Grpc.Core;

namespace DeepRecall.Sandboxes.Modal;

/// <summary>What a command in a sandbox writes, as a stream: a connection that breaks is taken up again at the byte where it broke.</summary>
/// <param name="router">The sandbox's router.</param>
/// <param name="execId">The command.</param>
/// <param name="descriptor">Which of its two streams.</param>
/// <param name="onFailure">Told why the stream could not be read on.</param>
/// <param name="lost">Cancelled when the sandbox is given up for another reason.</param>
internal sealed class ModalOutput(ModalRouter router, string execId, TaskExecStdioFileDescriptor descriptor, Action<Exception> onFailure, CancellationToken lost) : ReadOnlyStream
{
    /// <summary>A connection that was up for so long was a good one: the attempts are counted anew.</summary>
    private static readonly TimeSpan GoodConnection = TimeSpan.FromSeconds(5);

    private AsyncServerStreamingCall<TaskExecStdioReadResponse>? _call;
    private long _attached;
    private ReadOnlyMemory<byte> _rest;
    private long _offset;
    private int _failures;
    private bool _ended;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (_rest.IsEmpty)
        {
            if (_ended || !await ReceiveAsync(cancellationToken).ConfigureAwait(false))
            {
                _ended = true;
                return 0;
            }
        }

        var count = Math.Min(buffer.Length, _rest.Length);
        _rest.Span[..count].CopyTo(buffer.Span);
        _rest = _rest[count..];
        return count;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _call?.Dispose();
        }

        base.Dispose(disposing);
    }

    private async ValueTask<bool> ReceiveAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await ReceiveWithRetriesAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception error) when (lost.IsCancellationRequested && !cancellationToken.IsCancellationRequested && error is RpcException or OperationCanceledException or ObjectDisposedException)
        {
            return false; // the sandbox was let go of
        }
    }

    private async ValueTask<bool> ReceiveWithRetriesAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                if (_call is null)
                {
                    _call = await router.ReadAsync(execId, descriptor, _offset, lost).ConfigureAwait(false);
                    _attached = router.Time.GetTimestamp();
                }

                if (!await _call.ResponseStream.MoveNext(cancellationToken).ConfigureAwait(false))
                {
                    return false;
                }

                _rest = _call.ResponseStream.Current.Data.Memory;
                _offset += _rest.Length;
                return true;
            }
            catch (SandboxException error)
            {
                onFailure(error);
                throw;
            }
            catch (RpcException error)
            {
                // A connection that brings a little and breaks again is no good one: the waits go on growing.
                _failures = _call is not null && router.Time.GetElapsedTime(_attached) > GoodConnection ? 0 : _failures;
                _call?.Dispose();
                _call = null;
                using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, lost);
                ending.Token.ThrowIfCancellationRequested();
                if (!await router.PrepareRetryAsync(error, _failures++, ending.Token).ConfigureAwait(false))
                {
                    var failure = router.Errors.Of(error, "read from the sandbox");
                    onFailure(failure);
                    throw failure;
                }
            }
        }
    }
}
