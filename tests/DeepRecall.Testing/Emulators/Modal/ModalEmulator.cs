using System.Collections.Concurrent;
using System.Net;
using DeepRecall.Sandboxes.Modal.Wire;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace DeepRecall.Testing.Emulators.Modal;

/// <summary>Modal on loopback: its control API and its command router in one plain HTTP/2 server, with local processes for sandboxes.</summary>
public sealed class ModalEmulator : IAsyncDisposable
{
    public const string TokenId = "ak-emulated";
    public const string TokenSecret = "as-emulated-secret";

    private const int MaxMessage = 100 * 1024 * 1024;

    private readonly WebApplication _app;
    private readonly ModalState _state;
    private readonly CancellationTokenSource _stopping = new();
    private readonly ConcurrentQueue<ModalCall> _calls = new();
    private readonly ConcurrentDictionary<ConnectionContext, bool> _connections = new();

    public ModalEmulator(int port = 0)
    {
        _state = new ModalState(this);
        Stopping = _stopping.Token;
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(options =>
        {
            options.Limits.MinRequestBodyDataRate = null;
            options.Limits.MinResponseDataRate = null;
            options.Limits.MaxRequestBodySize = null;
            options.Limits.Http2.InitialConnectionWindowSize = 8 * 1024 * 1024;
            options.Limits.Http2.InitialStreamWindowSize = 4 * 1024 * 1024;
            options.Listen(IPAddress.Loopback, port, listen =>
            {
                listen.Protocols = HttpProtocols.Http2;
                listen.Use(next => async connection =>
                {
                    _connections[connection] = true;
                    await next(connection);
                    _connections.TryRemove(connection, out _);
                });
            });
        });
        builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromSeconds(1));
        builder.Services.AddSingleton(_state).AddSingleton<ModalControl>().AddSingleton<ModalCommandRouter>().AddSingleton<ModalInterceptor>();
        builder.Services.AddGrpc(options =>
        {
            options.MaxReceiveMessageSize = options.MaxSendMessageSize = MaxMessage;
            options.Interceptors.Add<ModalInterceptor>();
        });
        _app = builder.Build();
        _app.MapGrpcService<ModalControl>();
        _app.MapGrpcService<ModalCommandRouter>();
    }

    /// <summary>The address of the server, without a slash at its end.</summary>
    public string Url => _app.Urls.First();

    public ModalFaults Faults { get; } = new();

    /// <summary>Every call so far, in order.</summary>
    public IReadOnlyList<ModalCall> Calls => [.. _calls];

    /// <summary>The sandboxes that run, with their tags.</summary>
    public IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Running =>
        _state.Machines.Values.Where(machine => !machine.Ended.IsCompleted).ToDictionary(machine => machine.Id, machine => machine.Definition.Tags);

    /// <summary>How many sandboxes were made.</summary>
    public int Created => _state.Machines.Count;

    /// <summary>The processes of all sandboxes.</summary>
    public IReadOnlyList<int> Processes => [.. _state.Machines.Values.SelectMany(machine => machine.Machine.Processes)];

    internal CancellationToken Stopping { get; }

    public Task StartAsync() => _app.StartAsync();

    /// <summary>Breaks every connection.</summary>
    public void BreakConnections()
    {
        foreach (var connection in _connections.Keys)
        {
            connection.Abort();
        }
    }

    /// <summary>Lets every token be an expired one.</summary>
    public void ExpireTokens() => _state.ForgetTokens();

    /// <summary>Ends every sandbox, as the time limit does.</summary>
    public void TimeOutSandboxes()
    {
        foreach (var machine in _state.Machines.Values)
        {
            machine.End(GenericResult.Types.GenericStatus.Timeout);
        }
    }

    /// <summary>What the newest sandbox was asked to be, as the request had it.</summary>
    public string Newest => _state.Machines.Values.OrderBy(machine => machine.CreatedAt).Last().Definition.Sandbox.ToString();

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _app.DisposeAsync();
        foreach (var machine in _state.Machines.Values)
        {
            machine.End(GenericResult.Types.GenericStatus.Terminated);
        }

        _stopping.Dispose();
    }

    internal void Record(ModalCall call) => _calls.Enqueue(call);
}

/// <summary>A call as it came over the wire.</summary>
public sealed record ModalCall(string Method, Metadata Headers);
