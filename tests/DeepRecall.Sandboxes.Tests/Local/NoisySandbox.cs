using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Tests.Local;

/// <summary>A local sandbox that writes something of its own before the worker does, as a shell or a container's entry point may.</summary>
internal sealed class NoisySandbox(Func<SandboxStartRequest, byte[]> noise) : ISandbox
{
    private readonly LocalSandbox _inner = new();

    public string Name => "noisy";

    public string Description => _inner.Description;

    public async Task<ISandboxProcess> StartAsync(SandboxStartRequest request, CancellationToken cancellationToken) =>
        new NoisyProcess(await _inner.StartAsync(request, cancellationToken), noise(request));

    private sealed class NoisyProcess(ISandboxProcess inner, byte[] noise) : ISandboxProcess
    {
        public Stream Input => inner.Input;

        public Stream Output { get; } = new PrefixedStream(noise, inner.Output);

        public Task<SandboxExit> Exited => inner.Exited;

        public SandboxIsolation? Isolation => inner.Isolation;

        public Task<string> UploadAsync(string name, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken) =>
            inner.UploadAsync(name, write, cancellationToken);

        public Task SealAsync(CancellationToken cancellationToken) => inner.SealAsync(cancellationToken);

        public Task<bool> InterruptAsync(CancellationToken cancellationToken) => inner.InterruptAsync(cancellationToken);

        public Task KillAsync(CancellationToken cancellationToken) => inner.KillAsync(cancellationToken);

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }

    private sealed class PrefixedStream(byte[] prefix, Stream inner) : MemoryStream(prefix, writable: false)
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var read = await base.ReadAsync(buffer, cancellationToken);
            return read > 0 ? read : await inner.ReadAsync(buffer, cancellationToken);
        }
    }
}
