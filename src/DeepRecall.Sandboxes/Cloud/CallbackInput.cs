namespace DeepRecall.Sandboxes.Cloud;

/// <summary>A process's standard input, each write of which is sent by a function; a write is over when the function is.</summary>
internal sealed class CallbackInput(Func<ReadOnlyMemory<byte>, CancellationToken, ValueTask> send) : WriteOnlyStream
{
    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        buffer.IsEmpty ? ValueTask.CompletedTask : send(buffer, cancellationToken);
}
