using System.Collections.Concurrent;
using DeepRecall.Sandboxes.Modal.Wire;

namespace DeepRecall.Testing.Emulators.Modal;

/// <summary>An emulated sandbox: its machine, its commands, and how it ended.</summary>
internal sealed class ModalMachine(string id, string appId, SandboxDefinition definition)
{
    private readonly TaskCompletionSource<GenericResult> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string Id => id;

    public string AppId => appId;

    public string TaskId { get; } = $"ta-{Guid.NewGuid():N}";

    public double CreatedAt { get; } = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() / 1000.0;

    public SandboxDefinition Definition => definition;

    public LocalMachine Machine { get; } = new(definition.Variables);

    public ConcurrentDictionary<string, ModalExec> Execs { get; } = new(StringComparer.Ordinal);

    public Task<GenericResult> Ended => _ended.Task;

    public void End(GenericResult.Types.GenericStatus status)
    {
        if (_ended.TrySetResult(new GenericResult { Status = status }))
        {
            Machine.Destroy();
        }
    }
}

/// <summary>What a sandbox was asked to be.</summary>
internal sealed record SandboxDefinition(DeepRecall.Sandboxes.Modal.Wire.Sandbox Sandbox, IReadOnlyDictionary<string, string> Tags, IReadOnlyDictionary<string, string> Variables);
