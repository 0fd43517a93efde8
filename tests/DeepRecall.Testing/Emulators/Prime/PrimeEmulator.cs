using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json.Nodes;
using DeepRecall.Testing.Emulators.Connect;
using Microsoft.AspNetCore.Http;

namespace DeepRecall.Testing.Emulators.Prime;

/// <summary>Prime Intellect on loopback: the control API and the gateway, with sandboxes that are processes of this machine.</summary>
public sealed partial class PrimeEmulator : ConnectEmulator
{
    private readonly ConcurrentDictionary<string, EmulatedPrimeSandbox> _sandboxes = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, string> _creations = new(StringComparer.Ordinal);
    private int _created;

    public PrimeEmulator(int port = 0)
        : base(port)
    {
    }

    public string ApiKey { get; init; } = "pit_0123456789abcdef";

    /// <summary>How often a new sandbox is looked at before it runs.</summary>
    public int PollsUntilRunning { get; set; } = 1;

    /// <summary>Where it is set, why new sandboxes end in an error.</summary>
    public string? StartError { get; set; }

    /// <summary>How long tokens of the gateway are good for.</summary>
    public TimeSpan TokenLifetime { get; set; } = TimeSpan.FromHours(1);

    /// <summary>The ids of the sandboxes that are there.</summary>
    public IReadOnlyCollection<string> Sandboxes => [.. _sandboxes.Keys];

    /// <summary>How many sandboxes were created.</summary>
    public int Created => Volatile.Read(ref _created);

    /// <summary>How many processes of all sandboxes run.</summary>
    public int Processes => _sandboxes.Values.Sum(sandbox => sandbox.Machine.Processes.Count());

    /// <summary>Makes a sandbox look as if it had been created so long ago.</summary>
    public void Age(string id, TimeSpan age) => _sandboxes[id].CreatedAt -= age;

    /// <summary>Lets the gateway refuse every token that it has given out.</summary>
    public void ExpireTokens()
    {
        foreach (var sandbox in _sandboxes.Values)
        {
            sandbox.Tokens.Clear();
        }
    }

    /// <summary>Deletes a sandbox as the service does when its time runs out.</summary>
    public async Task ExpireAsync(string id)
    {
        if (_sandboxes.TryRemove(id, out var sandbox))
        {
            sandbox.Expiry?.Dispose();
            await sandbox.Machine.DisposeAsync();
        }
    }

    public override Task DeleteAllAsync() => Task.WhenAll(_sandboxes.Keys.Select(ExpireAsync));

    protected override string ErrorBody(int status, string message) => new JsonObject { ["detail"] = message }.ToJsonString();

    protected override Task RouteAsync(HttpContext context, EmulatedRequest request)
    {
        var path = request.Path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (path is ["gateway", "users", var job, ..])
        {
            return RouteToGatewayAsync(context, request, job, path[3..]);
        }

        if (request.Headers.GetValueOrDefault("Authorization") != $"Bearer {ApiKey}")
        {
            return FailAsync(context, 401, "Could not validate credentials");
        }

        return (request.Method, path) switch
        {
            ("POST", ["api", "v1", "sandbox"]) => CreateAsync(context, request),
            ("GET", ["api", "v1", "sandbox"]) => ListAsync(context),
            (_, ["api", "v1", "sandbox", var id, ..]) => WithSandboxAsync(context, request, path[3..], id),
            _ => FailAsync(context, 404, "Not Found"),
        };
    }

    private async Task CreateAsync(HttpContext context, EmulatedRequest request)
    {
        var body = JsonNode.Parse(request.Body)!;
        var id = $"sbx{Guid.NewGuid():N}"[..16];
        if ((string?)body["idempotency_key"] is { } key && _creations.GetOrAdd(key, id) is var known && known != id)
        {
            if (_sandboxes.TryGetValue(known, out var existing))
            {
                await WriteJsonAsync(context, existing.Describe());
                return;
            }

            _creations[key] = id;
        }

        var environment = body["environment_vars"]?.AsObject().ToDictionary(entry => entry.Key, entry => (string)entry.Value!, StringComparer.Ordinal) ?? [];
        var sandbox = new EmulatedPrimeSandbox(id, body, new EmulatedMachine(environment, Faults)) { PollsLeft = PollsUntilRunning };
        sandbox.Expiry = new Timer(_ => _ = ExpireAsync(id), null, TimeSpan.FromMinutes((int?)body["timeout_minutes"] ?? 60), Timeout.InfiniteTimeSpan);
        _sandboxes[id] = sandbox;
        Interlocked.Increment(ref _created);
        await WriteJsonAsync(context, sandbox.Describe());
    }

    private Task ListAsync(HttpContext context)
    {
        var query = context.Request.Query;
        var page = Number(query["page"], 1);
        var size = Number(query["per_page"], 50);
        var found = _sandboxes.Values
            .Where(sandbox => query["labels"].All(label => sandbox.Labels.Contains(label!)))
            .OrderBy(sandbox => sandbox.CreatedAt)
            .ThenBy(sandbox => sandbox.Id, StringComparer.Ordinal)
            .ToArray();
        return WriteJsonAsync(context, new JsonObject
        {
            ["sandboxes"] = new JsonArray([.. found.Skip((page - 1) * size).Take(size).Select(sandbox => sandbox.Describe())]),
            ["total"] = found.Length,
            ["page"] = page,
            ["perPage"] = size,
            ["hasNext"] = page * size < found.Length,
        });
    }

    private Task WithSandboxAsync(HttpContext context, EmulatedRequest request, string[] path, string id)
    {
        if (!_sandboxes.TryGetValue(id, out var sandbox))
        {
            return FailAsync(context, 404, "Sandbox not found");
        }

        return (request.Method, path) switch
        {
            ("GET", [_]) => PollAsync(context, sandbox),
            ("DELETE", [_]) => DeleteAsync(context, id),
            ("POST", [_, "auth"]) => AuthorizeAsync(context, sandbox),
            _ => FailAsync(context, 404, "Not Found"),
        };
    }

    private Task PollAsync(HttpContext context, EmulatedPrimeSandbox sandbox)
    {
        if (sandbox.Status is "PENDING" or "PROVISIONING")
        {
            (sandbox.Status, sandbox.Error) = sandbox.PollsLeft-- > 1 ? ("PROVISIONING", null) : StartError is null ? ("RUNNING", null) : ("ERROR", StartError);
        }

        return WriteJsonAsync(context, sandbox.Describe());
    }

    private async Task DeleteAsync(HttpContext context, string id)
    {
        await ExpireAsync(id);
        await WriteJsonAsync(context, new JsonObject { ["message"] = "Sandbox deleted" });
    }

    private Task AuthorizeAsync(HttpContext context, EmulatedPrimeSandbox sandbox)
    {
        if (sandbox.Status != "RUNNING")
        {
            return FailAsync(context, 409, "Sandbox is not running");
        }

        var token = $"gateway-{Guid.NewGuid():N}";
        var end = TimeProvider.System.GetUtcNow() + TokenLifetime;
        sandbox.Tokens[token] = end;
        return WriteJsonAsync(context, new JsonObject
        {
            ["gateway_url"] = $"{Url}/gateway",
            ["user_ns"] = "users",
            ["job_id"] = sandbox.Id,
            ["token"] = token,
            ["expires_at"] = end.ToString("O"),
            ["is_vm"] = sandbox.IsVm,
        });
    }

    private static int Number(string? text, int standard) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0 ? number : standard;
}
