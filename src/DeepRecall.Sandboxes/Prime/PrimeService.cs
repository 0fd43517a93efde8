using System.Runtime.CompilerServices;
using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxes.Connect;
using DeepRecall.Sandboxes.Prime.Wire;
using DeepRecall.Sandboxing;
using Google.Protobuf;

namespace DeepRecall.Sandboxes.Prime;

/// <summary>The processes of a virtual machine of Prime Intellect, by the service <c>command_session.CommandSession</c> in its binary form.</summary>
internal sealed class PrimeService : IProcessService
{
    private const string Service = "command_session.CommandSession";

    // The first is how long a process may live, and no shorter than a sandbox can; the second as E2B's service, whose shape this one has, understands it.
    private static readonly Dictionary<string, string> StreamHeaders = new(StringComparer.Ordinal)
    {
        ["Connect-Timeout-Ms"] = "86400000",
        ["Keepalive-Ping-Interval"] = "50",
    };

    private static readonly ConnectMethod<StartRequest, StartResponse> Start = ConnectMethod.Proto<StartRequest, StartResponse>($"{Service}/Start", StartResponse.Parser);
    private static readonly ConnectMethod<ConnectRequest, ConnectResponse> Connect = ConnectMethod.Proto<ConnectRequest, ConnectResponse>($"{Service}/Connect", ConnectResponse.Parser);
    private static readonly ConnectMethod<SendInputRequest, SendInputResponse> SendInput = ConnectMethod.Proto<SendInputRequest, SendInputResponse>($"{Service}/SendInput", SendInputResponse.Parser);

    private readonly PrimeGateway _gateway;
    private readonly ConnectClient _connect;

    public PrimeService(PrimeGateway gateway, CloudHost host)
    {
        _gateway = gateway;
        _connect = new ConnectClient(host.Handler, gateway.Address, AuthorizeAsync) { CanRenew = true };
    }

    public string Display => _gateway.Display;

    public int InputChunk => 256 * 1024;

    public CloudErrors Errors => _gateway.Errors;

    public async IAsyncEnumerable<ProcessEvent> StartAsync(ProcessCommand command, bool again, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // The id makes a start of one that runs attach to it, so there is nothing else to do when it is repeated.
        var request = new StartRequest { Command = new CommandSpec { Cmd = command.Command }, Stdin = command.Stdin };
        request.Command.Args.AddRange(command.Arguments);
        if (command.Directory is { } directory)
        {
            request.Command.Cwd = directory;
        }

        request.SessionUuid = command.Id is { } id ? Guid.ParseExact(id, "N").ToString("D") : Guid.NewGuid().ToString("D");
        await foreach (var response in _connect.StreamAsync(Start, request, StreamHeaders, cancellationToken).ConfigureAwait(false))
        {
            yield return Read(response.Event);
        }
    }

    public async IAsyncEnumerable<ProcessEvent> AttachAsync(uint pid, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var request = new ConnectRequest { Session = new CommandSessionSelector { Pid = pid } };
        await foreach (var response in _connect.StreamAsync(Connect, request, StreamHeaders, cancellationToken).ConfigureAwait(false))
        {
            yield return Read(response.Event);
        }
    }

    public Task SendInputAsync(uint pid, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => _connect.CallAsync(
        SendInput,
        new SendInputRequest
        {
            Session = new CommandSessionSelector { Pid = pid },
            Input = new CommandInput { Stdin = UnsafeByteOperations.UnsafeWrap(bytes) },
            InputUuid = Guid.NewGuid().ToString("D"),
        },
        cancellationToken);

    public Task<string> UploadAsync(string name, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken) =>
        _gateway.UploadAsync(name, write, cancellationToken);

    public Task<bool> IsGoneAsync(CancellationToken cancellationToken) => _gateway.IsGoneAsync(cancellationToken);

    public Task DeleteAsync() => _gateway.DeleteAsync();

    private static ProcessEvent Read(CommandSessionEvent? happened) => happened switch
    {
        { Start: { } start } => new ProcessEvent(ProcessEventKind.Started, Pid: start.Pid),
        { Data: { OutputCase: CommandSessionEvent.Types.DataEvent.OutputOneofCase.Stdout } data } => new ProcessEvent(ProcessEventKind.Output, Data: data.Stdout.Memory),
        { Data: { OutputCase: CommandSessionEvent.Types.DataEvent.OutputOneofCase.Stderr } data } => new ProcessEvent(ProcessEventKind.Error, Data: data.Stderr.Memory),
        { End: { } end } => new ProcessEvent(ProcessEventKind.Ended, Exit: ProcessExits.Read(end.ExitCode, end.Exited, end.Status, end.HasError ? end.Error : null)),
        _ => default,
    };

    private async ValueTask AuthorizeAsync(HttpRequestMessage request, bool renew, CancellationToken cancellationToken)
    {
        try
        {
            await _gateway.AuthorizeAsync(request, renew, cancellationToken).ConfigureAwait(false);
        }
        catch (SandboxException error)
        {
            var code = error.Kind is SandboxErrorKind.Authentication or SandboxErrorKind.NotFound ? ConnectException.Unauthenticated : ConnectException.Unavailable;
            throw new ConnectException(code, error.Message, error);
        }
    }
}
