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
    private AsyncServerStreamingCall<TaskExecStdioReadResponse>? _call;
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
        while (true)
        {
            try
            {
                _call ??= await router.ReadAsync(execId, descriptor, _offset, lost).ConfigureAwait(false);
                if (!await _call.ResponseStream.MoveNext(cancellationToken).ConfigureAwait(false))
                {
                    return false;
                }

                _rest = _call.ResponseStream.Current.Data.Memory;
                _offset += _rest.Length;
                _failures = 0;
                return true;
            }
            catch (SandboxException error)
            {
                onFailure(error);
                throw;
            }
            catch (RpcException error)
            {
                _call?.Dispose();
                _call = null;
                cancellationToken.ThrowIfCancellationRequested();
                lost.ThrowIfCancellationRequested();
                if (!await router.PrepareRetryAsync(error, _failures++, cancellationToken).ConfigureAwait(false))
                {
                    var failure = router.Errors.Of(error, "read from the sandbox");
                    onFailure(failure);
                    throw failure;
                }
            }
        }
    }
}
