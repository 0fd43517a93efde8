using System.Globalization;
using System.Text;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Docker;

/// <summary>A worker in a container of its own.</summary>
internal sealed class DockerProcess : ISandboxProcess
{
    private const int Killed = 137; // 128 and the number of SIGKILL, which is how a container's end for want of memory looks

    private static readonly TimeSpan LastWords = TimeSpan.FromSeconds(1);

    private readonly DockerEngine _engine;
    private readonly DockerSandboxOptions _options;
    private readonly AttachedStream _stream;
    private readonly string _scratch;
    private readonly string? _shared;
    private readonly Task<SandboxExit> _exited;
    private readonly Lazy<Task> _disposal;
    private readonly CancellationTokenSource _watch = new();
    private volatile bool _ending;

    /// <summary>Initializes a new instance of the <see cref="DockerProcess"/> class, which owns the container, the stream and the directory.</summary>
    /// <param name="engine">The engine.</param>
    /// <param name="options">The sandbox's options.</param>
    /// <param name="id">The running container.</param>
    /// <param name="stream">The container's streams.</param>
    /// <param name="scratch">A directory of this machine for the process's uploads on their way.</param>
    /// <param name="shared">The directory below it that the container sees, or <see langword="null"/> when it sees a volume.</param>
    public DockerProcess(DockerEngine engine, DockerSandboxOptions options, string id, AttachedStream stream, string scratch, string? shared)
    {
        _engine = engine;
        _options = options;
        Id = id;
        _stream = stream;
        _scratch = scratch;
        _shared = shared;
        _exited = WatchAsync();
        _disposal = new Lazy<Task>(EndAsync);
    }

    public string Id { get; }

    public Stream Input => _stream;

    public Stream Output => _stream;

    public Task<SandboxExit> Exited => _exited;

    /// <summary>Gives the waiting bootstrap the worker.</summary>
    public async Task SendWorkerAsync(string source, CancellationToken cancellationToken)
    {
        var bytes = Encoding.UTF8.GetBytes(source);
        var length = Encoding.ASCII.GetBytes(bytes.Length.ToString("D10", CultureInfo.InvariantCulture));
        try
        {
            await _stream.WriteAsync((byte[])[.. length, .. bytes], cancellationToken).ConfigureAwait(false);
        }
        catch (IOException)
        {
            // It has ended already; how, and what it said, is told by Exited.
        }
    }

    public async Task<string> UploadAsync(string name, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken)
    {
        UploadName.Check(name);

        var path = Path.Combine(_shared ?? _scratch, name);
        var file = new FileStream(path, FileMode.Create, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0, FileOptions.Asynchronous);
        await using (file.ConfigureAwait(false))
        {
            await write(file, cancellationToken).ConfigureAwait(false);
            if (_shared is null)
            {
                file.Position = 0;
                await _engine.PutFileAsync(Id, DockerContainer.UploadPath, name, file, cancellationToken).ConfigureAwait(false);
                File.Delete(path);
            }
            else if (!OperatingSystem.IsWindows())
            {
                // For the container's user, whatever this process's mask; on this machine the directory above keeps others out.
                File.SetUnixFileMode(file.SafeFileHandle, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
            }
        }

        return $"{DockerContainer.UploadPath}/{name}";
    }

    public async Task<bool> InterruptAsync(CancellationToken cancellationToken)
    {
        await _engine.SignalAsync(Id, "SIGINT", cancellationToken).ConfigureAwait(false);
        return true;
    }

    public Task KillAsync(CancellationToken cancellationToken) => _engine.SignalAsync(Id, "SIGKILL", cancellationToken);

    public async ValueTask DisposeAsync() => await _disposal.Value.ConfigureAwait(false);

    private async Task EndAsync()
    {
        _ending = true;
        using var timeout = new CancellationTokenSource(_options.StopTimeout);
        try
        {
            await _engine.RemoveAsync(Id, timeout.Token).ConfigureAwait(false);
            await _exited.WaitAsync(timeout.Token).ConfigureAwait(false);
        }
        catch (Exception error) when (error is SandboxException or OperationCanceledException)
        {
            // The engine is gone or hangs. The closed stream ends the worker, and what is left is removed by a later start.
            DockerContainers.Leave(Id);
        }

        await _watch.CancelAsync().ConfigureAwait(false);
        await _exited.ConfigureAwait(false);
        _watch.Dispose();
        await _stream.DisposeAsync().ConfigureAwait(false);
        ScratchDirectory.Delete(_scratch);
    }

    private async Task<SandboxExit> WatchAsync()
    {
        try
        {
            var (code, outOfMemory) = await _engine.WaitAsync(Id, _watch.Token).ConfigureAwait(false);

            if (!_ending)
            {
                // What the worker said at its end may still be on the way to whoever reads.
                await Task.WhenAny(_stream.Ended, Task.Delay(LastWords)).ConfigureAwait(false);
            }

            // A process 1 tells the end of its child by a signal as a shell does: 128 and the signal's number.
            var signal = code is > 128 and < 128 + 65 ? (int)code - 128 : (int?)null;
            var detail = outOfMemory && code == Killed && !_ending
                ? $"the container's memory ran out ({_options.MemoryMB:N0} MiB, {nameof(DockerSandboxOptions)}.{nameof(DockerSandboxOptions.MemoryMB)})"
                : _stream.Errors;
            return new SandboxExit(signal is null ? (int)code : null, signal, detail.Length > 0 ? detail : null);
        }
        catch (Exception error)
        {
            return new SandboxExit(null, null, _watch.IsCancellationRequested ? "the engine did not tell its end" : error.Message);
        }
    }
}
