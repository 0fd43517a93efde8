using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace DeepRecall.Testing.Emulators.Daytona;

/// <summary>Daytona on loopback: its control API below <c>/api</c>, and the toolbox of each sandbox below <c>/toolbox</c>, with local processes behind real terminals.</summary>
public sealed class DaytonaEmulator : IAsyncDisposable
{
    public const string ApiKey = "dtn_emulated_key";
    public const string JwtToken = "eyJ.emulated.token";
    public const string OrganizationId = "org-1";

    private const int PageSize = 2;

    private readonly WebApplication _app;
    private readonly ConcurrentDictionary<string, DaytonaMachine> _machines = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<EmulatedRequest> _requests = new();
    private readonly ConcurrentDictionary<ConnectionContext, bool> _connections = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly DaytonaToolbox _toolbox;
    private int _created;
    private int _asked;

    public DaytonaEmulator(int port = 0)
    {
        Stopping = _stopping.Token;
        _toolbox = new DaytonaToolbox(this);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(options =>
        {
            options.Limits.MinRequestBodyDataRate = null;
            options.Limits.MinResponseDataRate = null;
            options.Limits.MaxRequestBodySize = null;
            options.Listen(IPAddress.Loopback, port, listen => listen.Use(next => async connection =>
            {
                _connections[connection] = true;
                await next(connection);
                _connections.TryRemove(connection, out _);
            }));
        });
        builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromSeconds(1));
        _app = builder.Build();
        _app.UseWebSockets();
        _app.Run(HandleAsync);
    }

    /// <summary>The address of the control API.</summary>
    public string ApiUrl => $"{_app.Urls.First()}/api";

    public DaytonaFaults Faults { get; } = new();

    /// <summary>Every request so far, in order.</summary>
    public IReadOnlyList<EmulatedRequest> Requests => [.. _requests];

    /// <summary>The sandboxes that there are, by their id, with their labels.</summary>
    public IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Running => _machines.ToDictionary(entry => entry.Key, entry => entry.Value.Labels);

    /// <summary>How many sandboxes were made.</summary>
    public int Created => _created;

    /// <summary>The request that made the newest sandbox.</summary>
    public JsonElement Newest { get; private set; }

    /// <summary>The processes of all sandboxes.</summary>
    public IReadOnlyList<int> Processes => [.. _machines.Values.SelectMany(machine => machine.Machine.Processes)];

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

    /// <summary>Deletes every sandbox, as somebody else may.</summary>
    public void DeleteAll()
    {
        foreach (var id in _machines.Keys)
        {
            Delete(id);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _app.DisposeAsync();
        DeleteAll();
        _stopping.Dispose();
    }

    internal static async Task<JsonElement> ReadAsync(HttpContext context)
    {
        using var document = await JsonDocument.ParseAsync(context.Request.Body, cancellationToken: context.RequestAborted);
        return document.RootElement.Clone();
    }

    internal static async Task WriteAsync(HttpContext context, int status, JsonNode body)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync(body.ToJsonString(), context.RequestAborted);
    }

    internal static Task FailAsync(HttpContext context, int status, string message, string? code = null) => WriteAsync(context, status, new JsonObject
    {
        ["statusCode"] = status,
        ["message"] = message,
        ["error"] = ((HttpStatusCode)status).ToString(),
        ["code"] = code,
        ["timestamp"] = "2026-11-24T10:00:00.000Z",
        ["path"] = context.Request.Path.Value,
        ["method"] = context.Request.Method,
    });

    private static bool IsAllowed(HttpRequest request) => request.Headers.Authorization.ToString() switch
    {
        "Bearer " + ApiKey => true,
        "Bearer " + JwtToken => request.Headers["X-Daytona-Organization-ID"].ToString() == OrganizationId,
        _ => false,
    };

    private async Task HandleAsync(HttpContext context)
    {
        var path = context.Request.Path.Value!.Trim('/');
        var headers = context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase);
        _requests.Enqueue(new EmulatedRequest(context.Request.Method, $"/{path}", context.Request.QueryString.Value ?? string.Empty, headers, string.Empty));
        try
        {
            await Task.Delay(Faults.Delay, context.RequestAborted);
            var fault = Faults.Take(context.Request.Method, path);
            var body = context.Response.Body;
            if (fault is { CarriedOut: true })
            {
                context.Response.Body = Stream.Null;
            }

            if (fault is null or { CarriedOut: true })
            {
                await AnswerAsync(context, path);
            }

            if (fault is not null)
            {
                context.Response.Body = body;
                await fault.When.WaitAsync(context.RequestAborted);
                await FailAsync(context, fault);
            }
        }
        catch (Exception error) when (error is OperationCanceledException or IOException)
        {
            // The client went away.
        }
    }

    private static async Task FailAsync(HttpContext context, RequestFault fault)
    {
        if (fault.Status == 0)
        {
            context.Abort();
            return;
        }

        if (fault.RetryAfter is { } wait)
        {
            context.Response.Headers.RetryAfter = wait;
        }

        await FailAsync(context, fault.Status, fault.Message);
    }

    private async Task AnswerAsync(HttpContext context, string path)
    {
        if (!IsAllowed(context.Request))
        {
            await FailAsync(context, 401, "Invalid credentials");
        }
        else if (path.Split('/', 3) is ["toolbox", var id, var rest])
        {
            await (_machines.TryGetValue(id, out var machine) ? _toolbox.AnswerAsync(context, machine, rest) : FailAsync(context, 404, $"Sandbox with ID {id} not found"));
        }
        else if (path.StartsWith("api/", StringComparison.Ordinal))
        {
            await AnswerControlAsync(context, path[4..].Split('/'));
        }
        else
        {
            await FailAsync(context, 404, "Not Found");
        }
    }

    private Task AnswerControlAsync(HttpContext context, string[] path) => (context.Request.Method, path) switch
    {
        ("POST", ["sandbox"]) => CreateAsync(context),
        ("GET", ["sandbox"]) or ("GET", ["sandbox", "paginated"]) => ListAsync(context),
        ("GET", ["sandbox", var id]) => WithAsync(context, id, machine => WriteAsync(context, 200, machine.Tell(ToolboxUrl(context), advance: true))),
        ("DELETE", ["sandbox", var id]) => WithAsync(context, id, machine =>
        {
            var told = machine.Tell(ToolboxUrl(context), advance: false);
            told["state"] = "destroying";
            Delete(machine.Id);
            return WriteAsync(context, 200, told);
        }),
        ("GET", ["sandbox", var id, "toolbox-proxy-url"]) => WithAsync(context, id, _ => WriteAsync(context, 200, new JsonObject { ["url"] = ToolboxUrl(context) })),
        ("POST", ["sandbox", var id, "last-activity" or "autostop" or "labels", ..]) => WithAsync(context, id, machine => WriteAsync(context, 200, machine.Tell(ToolboxUrl(context), advance: false))),
        _ => FailAsync(context, 404, "Not Found"),
    };

    private static string ToolboxUrl(HttpContext context) => $"http://{context.Request.Host}/toolbox";

    private async Task CreateAsync(HttpContext context)
    {
        var request = await ReadAsync(context);
        var machine = new DaytonaMachine(request, Faults, Interlocked.Increment(ref _asked));
        if (_machines.Values.Any(other => other.Name == machine.Name))
        {
            machine.Machine.Destroy();
            await FailAsync(context, 409, $"Sandbox with name {machine.Name} already exists");
            return;
        }

        Interlocked.Increment(ref _created);
        Newest = request;
        _machines[machine.Id] = machine;
        await WriteAsync(context, 200, machine.Tell(ToolboxUrl(context), advance: true));
    }

    private Task ListAsync(HttpContext context)
    {
        var labels = context.Request.Query["labels"] is { Count: > 0 } given ? JsonSerializer.Deserialize<Dictionary<string, string>>(given.ToString())! : [];
        var after = int.TryParse(context.Request.Query["cursor"], NumberStyles.None, CultureInfo.InvariantCulture, out var cursor) ? cursor : 0;
        var found = _machines.Values
            .Where(machine => Faults.IgnoresFilters || labels.All(label => machine.Labels.TryGetValue(label.Key, out var value) && value == label.Value))
            .Where(machine => Faults.RepeatsPages || machine.Order > after)
            .OrderBy(machine => machine.Order)
            .ToArray();
        var page = found.Take(PageSize).ToArray();
        return WriteAsync(context, 200, new JsonObject
        {
            ["items"] = new JsonArray([.. page.Select(machine => machine.Tell(ToolboxUrl(context), advance: false))]),
            ["nextCursor"] = found.Length > page.Length ? page[^1].Order.ToString(CultureInfo.InvariantCulture) : null,
        });
    }

    private Task WithAsync(HttpContext context, string idOrName, Func<DaytonaMachine, Task> answer) =>
        _machines.Values.FirstOrDefault(machine => machine.Id == idOrName || machine.Name == idOrName) is { } machine
            ? answer(machine)
            : FailAsync(context, 404, $"Sandbox with ID or name {idOrName} not found");

    private void Delete(string id)
    {
        if (_machines.TryRemove(id, out var machine))
        {
            machine.Machine.Destroy();
        }
    }
}
