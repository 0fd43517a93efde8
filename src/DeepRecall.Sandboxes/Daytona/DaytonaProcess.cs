using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Daytona;

/// <summary>A worker in a sandbox of Daytona's, which is its alone and ends with it.</summary>
internal sealed class DaytonaProcess : ISandboxProcess
{
    private const int KillSignal = 9;
    private const int Starts = 3;
    private const int CommandSeconds = 10;

    private static readonly byte[] Relay = ReadRelay();

    private readonly DaytonaClient _client;
    private readonly DaytonaMachine _machine;
    private readonly ResumeSignal _resumed;
    private DaytonaTerminal _terminal;
    private WorkerPlace? _place;
    private int _disposed;

    private DaytonaProcess(DaytonaClient client, DaytonaMachine machine)
    {
        _client = client;
        _machine = machine;
        _resumed = new ResumeSignal(this);
        _terminal = NewTerminal();
        Input = new CallbackInput((bytes, cancellationToken) => _terminal.WriteAsync(bytes, cancellationToken));
    }

    public event EventHandler Resumed
    {
        add => _resumed.Add(value);
        remove => _resumed.Remove(value);
    }

    public Stream Input { get; }

    public Stream Output => _terminal.Output;

    public Task<SandboxExit> Exited => _terminal.Ended;

    /// <summary>Starts the worker in a sandbox that runs. When it fails, the caller deletes the sandbox.</summary>
    public static async Task<DaytonaProcess> StartAsync(DaytonaClient client, DaytonaMachine machine, SandboxStartRequest request, CancellationToken cancellationToken)
    {
        var process = new DaytonaProcess(client, machine);
        try
        {
            for (var attempt = 1; ; attempt++)
            {
                try
                {
                    await process.StartWorkerAsync(request, cancellationToken).ConfigureAwait(false);
                    return process;
                }
                catch (SandboxException error) when (attempt < Starts && error.Kind == SandboxErrorKind.Connection)
                {
                    // Nobody knows how far it had come: once more, from the beginning, in a terminal of its own.
                    await process._terminal.DisposeAsync().ConfigureAwait(false);
                    process._terminal = process.NewTerminal();
                }
            }
        }
        catch
        {
            await process._terminal.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public async Task<string> UploadAsync(string name, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken)
    {
        UploadName.Check(name);
        var path = $"{_place!.Directory}/{name}";
        var action = $"upload '{name}' to the sandbox {_machine.Id}";
        using var request = _client.Request(HttpMethod.Post, new Uri(_machine.Toolbox, "files/bulk-upload"));
        using var file = new CallbackContent(write);
        file.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
        using var form = new MultipartFormDataContent { { new StringContent(path), "files[0].path" }, { file, "files[0].file", name } };
        request.Content = form;
        try
        {
            using var response = await _client.Http.SendOnceAsync(request, cancellationToken).ConfigureAwait(false);
            await _client.Http.ThrowIfRefusedAsync(action, response, cancellationToken).ConfigureAwait(false);
            return path;
        }
        catch (Exception) when (file.Failure is { } failure)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
            throw;
        }
        catch (Exception error) when (error is HttpRequestException or IOException)
        {
            throw _client.Errors.Failed(SandboxErrorKind.Connection, action, $"the connection failed ({error.Message})", error);
        }
    }

    public async Task<bool> InterruptAsync(CancellationToken cancellationToken)
    {
        if (!Exited.IsCompleted)
        {
            try
            {
                // The terminal is in raw mode, where no byte is a signal.
                using var response = await _client.Http.SendAsync(
                    "interrupt the worker",
                    () =>
                    {
                        var request = _client.Request(HttpMethod.Post, new Uri(_machine.Toolbox, "process/execute"));
                        request.Content = JsonContent.Create(new ExecuteCommand($"kill -INT {_place!.ProcessId}", CommandSeconds), DaytonaJson.Default.ExecuteCommand);
                        return request;
                    },
                    repeatable: true,
                    cancellationToken).ConfigureAwait(false);
            }
            catch (SandboxException)
            {
                // It does not stop then, and is killed.
            }
        }

        return true;
    }

    public async Task KillAsync(CancellationToken cancellationToken)
    {
        // Whoever waits for the process is free at once, also when Daytona does not answer.
        _terminal.Stop(new SandboxExit(null, KillSignal));
        await _client.DiscardAsync(_machine.Id).WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        var discarding = _client.DiscardAsync(_machine.Id);
        await _terminal.DisposeAsync().ConfigureAwait(false);
        await discarding.ConfigureAwait(false);
    }

    private DaytonaTerminal NewTerminal() => new(_client, _machine, () => _resumed.Raise());

    private static byte[] ReadRelay()
    {
        using var stream = typeof(DaytonaProcess).Assembly.GetManifestResourceStream("relay.py")!;
        using var copy = new MemoryStream();
        stream.CopyTo(copy);
        return copy.ToArray();
    }

    private async Task StartWorkerAsync(SandboxStartRequest request, CancellationToken cancellationToken)
    {
        var worker = Encoding.UTF8.GetBytes(request.WorkerSource);
        await _terminal.OpenAsync(cancellationToken).ConfigureAwait(false);

        // Not as the shell's replacement: the shell then tells by which signal the worker ended, which the service would not.
        await _terminal.WriteAsync(Encoding.UTF8.GetBytes($" {WorkerBootstrap.CommandLine(request.Nonce, worker, Relay)}; exit $?\n"), cancellationToken).ConfigureAwait(false);
        await ReadPlaceAsync(request.Nonce, cancellationToken).ConfigureAwait(false); // the terminal is in raw mode now
        await _terminal.WriteAsync((byte[])[.. worker, .. Relay], cancellationToken).ConfigureAwait(false);
        _place = await ReadPlaceAsync(request.Nonce, cancellationToken).ConfigureAwait(false); // and now both are there
        _terminal.BeginMessages();
    }

    private async Task<WorkerPlace> ReadPlaceAsync(string nonce, CancellationToken cancellationToken) =>
        await WorkerBootstrap.ReadPlaceAsync(Output, nonce, cancellationToken).ConfigureAwait(false)
            ?? throw _client.Errors.Failed(SandboxErrorKind.NotFound, "start Python", $"{await Exited.WaitAsync(cancellationToken).ConfigureAwait(false)}; the sandbox needs a shell and python3, 3.9 or newer");
}
