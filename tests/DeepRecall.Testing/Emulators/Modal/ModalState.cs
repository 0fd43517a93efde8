using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Text;
using DeepRecall.Sandboxes.Modal.Wire;
using Grpc.Core;

namespace DeepRecall.Testing.Emulators.Modal;

/// <summary>What the emulated Modal knows: tokens, images and sandboxes.</summary>
internal sealed class ModalState(ModalEmulator emulator)
{
    private readonly ConcurrentDictionary<string, DateTimeOffset> _tokens = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, string> _images = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, IReadOnlyDictionary<string, string>> _secrets = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, ModalMachine> _creations = new(StringComparer.Ordinal);

    public ModalEmulator Emulator => emulator;

    public ConcurrentDictionary<string, ModalMachine> Machines { get; } = new(StringComparer.Ordinal);

    /// <summary>A JSON Web Token that is good for a while; nobody checks its signature.</summary>
    public string IssueToken(TimeSpan lifetime)
    {
        var expiry = DateTimeOffset.UtcNow + lifetime;
        var payload = $$"""{"exp":{{expiry.ToUnixTimeMilliseconds() / 1000.0}},"jti":"{{Guid.NewGuid():N}}"}""";
        var token = $"{Encode("""{"alg":"HS256","typ":"JWT"}""")}.{Encode(payload)}.{Encode("signature")}";
        _tokens[token] = expiry;
        return token;
    }

    public bool IsGood(string? token) => token is not null && _tokens.TryGetValue(token, out var expiry) && DateTimeOffset.UtcNow < expiry;

    public void ForgetTokens() => _tokens.Clear();

    public string AddImage(string commands)
    {
        var id = $"im-{Guid.NewGuid():N}";
        _images[id] = commands;
        return id;
    }

    public GenericResult BuildImage(string id)
    {
        var failure = _images.TryGetValue(id, out var commands) ? emulator.Faults.ImageFailure(commands) : "no such image";
        return failure is null
            ? new GenericResult { Status = GenericResult.Types.GenericStatus.Success }
            : new GenericResult { Status = GenericResult.Types.GenericStatus.Failure, Exception = failure };
    }

    public string AddSecret(IReadOnlyDictionary<string, string> variables)
    {
        var id = $"st-{Guid.NewGuid():N}";
        _secrets[id] = variables;
        return id;
    }

    public IReadOnlyDictionary<string, string> VariablesOf(IEnumerable<string> secretIds, IEnumerable<SecretSource> sources)
    {
        Dictionary<string, string> all = new(StringComparer.Ordinal);
        foreach (var id in secretIds.Concat(sources.Where(source => source.SourceCase == SecretSource.SourceOneofCase.SecretId).Select(source => source.SecretId)))
        {
            Add(_secrets.TryGetValue(id, out var known) ? known : throw new RpcException(new Status(StatusCode.NotFound, $"secret {id} not found")));
        }

        foreach (var source in sources.Where(source => source.SourceCase == SecretSource.SourceOneofCase.Env))
        {
            Add(source.Env.Contents);
        }

        return all;

        void Add(IEnumerable<KeyValuePair<string, string>> variables)
        {
            foreach (var (name, value) in variables)
            {
                all[name] = value;
            }
        }
    }

    /// <summary>Makes a sandbox; the same call made again gets the one that it made at first.</summary>
    public ModalMachine Create(string idempotencyKey, string id, string appId, SandboxDefinition definition) => _creations.GetOrAdd(idempotencyKey, key =>
    {
        if (!_images.ContainsKey(definition.Sandbox.ImageId))
        {
            throw new RpcException(new Status(StatusCode.NotFound, $"image {definition.Sandbox.ImageId} not found"));
        }

        var machine = new ModalMachine(id, appId, definition);
        Machines[id] = machine;
        _ = EndInTimeAsync(machine);
        return machine;
    });

    /// <exception cref="RpcException">There is no such sandbox.</exception>
    public ModalMachine Find(string sandboxId) =>
        Machines.TryGetValue(sandboxId, out var machine) ? machine : throw new RpcException(new Status(StatusCode.NotFound, $"sandbox {sandboxId} not found"));

    /// <exception cref="RpcException">There is no such sandbox, or not any more.</exception>
    public ModalMachine FindTask(string taskId) =>
        Machines.Values.FirstOrDefault(machine => machine.TaskId == taskId && !machine.Ended.IsCompleted) ?? throw new RpcException(new Status(StatusCode.NotFound, $"task {taskId} not found"));

    private static string Encode(string text) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(text));

    private async Task EndInTimeAsync(ModalMachine machine)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(emulator.Stopping);
        await Task.WhenAny(machine.Ended, Task.Delay(TimeSpan.FromSeconds(machine.Definition.Sandbox.TimeoutSecs), limit.Token));
        await limit.CancelAsync();
        machine.End(GenericResult.Types.GenericStatus.Timeout);
    }
}
