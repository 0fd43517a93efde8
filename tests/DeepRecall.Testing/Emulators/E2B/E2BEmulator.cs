using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json.Nodes;
using DeepRecall.Testing.Emulators.Connect;
using Microsoft.AspNetCore.Http;

namespace DeepRecall.Testing.Emulators.E2B;

/// <summary>E2B on loopback: the control API and envd, told apart by their paths, with sandboxes that are processes of this machine.</summary>
public sealed partial class E2BEmulator : ConnectEmulator
{
    public const string EnvdVersion = "0.6.13";

    private readonly ConcurrentDictionary<string, EmulatedE2BSandbox> _sandboxes = new(StringComparer.Ordinal);
    private int _created;

    public E2BEmulator(int port = 0)
        : base(port)
    {
    }

    public string ApiKey { get; init; } = "e2b_0123456789abcdef";

    /// <summary>Whether there is the second version of the call that creates a sandbox.</summary>
    public bool HasV2 { get; set; } = true;

    /// <summary>The templates that there are.</summary>
    public ISet<string> Templates { get; } = new HashSet<string>(StringComparer.Ordinal) { "base" };

    /// <summary>The ids of the sandboxes that are there.</summary>
    public IReadOnlyCollection<string> Sandboxes => [.. _sandboxes.Keys];

    /// <summary>How many sandboxes were created.</summary>
    public int Created => Volatile.Read(ref _created);

    /// <summary>Makes a sandbox look as if it had started so long ago.</summary>
    public void Age(string id, TimeSpan age) => _sandboxes[id].StartedAt -= age;

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

    protected override string ErrorBody(int status, string message) => new JsonObject { ["code"] = status, ["message"] = message }.ToJsonString();

    protected override Task RouteAsync(HttpContext context, EmulatedRequest request)
    {
        var path = request.Path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (path is ["process.Process", _] or ["files"] or ["health"])
        {
            return RouteToEnvdAsync(context, request, path);
        }

        if (request.Headers.GetValueOrDefault("X-API-Key") != ApiKey)
        {
            return FailAsync(context, 401, "Invalid API key format, or the key is unknown");
        }

        return (request.Method, path) switch
        {
            ("POST", ["v2", "sandboxes"]) when HasV2 => CreateAsync(context, request),
            ("POST", ["sandboxes"]) => CreateAsync(context, request),
            ("GET", ["v2", "sandboxes"]) => ListAsync(context),
            ("POST", ["v2", "sandboxes", var id, "connect"]) => ConnectAsync(context, request, id),
            (_, ["sandboxes", var id, ..]) => WithSandboxAsync(context, request, path, id),
            _ => FailAsync(context, 404, "no such route"),
        };
    }

    private Task WithSandboxAsync(HttpContext context, EmulatedRequest request, string[] path, string id)
    {
        if (!_sandboxes.TryGetValue(id, out var sandbox))
        {
            return FailAsync(context, 404, $"sandbox \"{id}\" not found");
        }

        return (request.Method, path) switch
        {
            ("GET", [_, _]) => WriteJsonAsync(context, sandbox.Describe()),
            ("DELETE", [_, _]) => DeleteAsync(context, id),
            ("POST", [_, _, "timeout"]) => ExtendAsync(context, request, sandbox),
            ("POST", [_, _, "connect"]) => ConnectAsync(context, request, id),
            _ => FailAsync(context, 404, "no such route"),
        };
    }

    private async Task CreateAsync(HttpContext context, EmulatedRequest request)
    {
        var body = JsonNode.Parse(request.Body)!;
        var template = (string)body["templateID"]!;
        if (!Templates.Contains(template))
        {
            await FailAsync(context, 404, $"template '{template}' not found");
            return;
        }

        var id = $"i{Guid.NewGuid():N}"[..20];
        var machine = new EmulatedMachine(Map(body["envVars"]), Faults);
        var sandbox = new EmulatedE2BSandbox(id, template, machine, Map(body["metadata"]), (bool?)body["allow_internet_access"] ?? true);
        Schedule(sandbox, (int?)body["timeout"] ?? (request.Path.StartsWith("/v2", StringComparison.Ordinal) ? 300 : 15));
        _sandboxes[id] = sandbox;
        Interlocked.Increment(ref _created);
        await WriteJsonAsync(
            context,
            new JsonObject
            {
                ["templateID"] = template,
                ["sandboxID"] = id,
                ["clientID"] = "client",
                ["envdVersion"] = EnvdVersion,
                ["envdAccessToken"] = sandbox.AccessToken,
                ["trafficAccessToken"] = null,
                ["domain"] = null,
                ["alias"] = template,
            },
            201);
    }

    private Task ListAsync(HttpContext context)
    {
        var query = context.Request.Query;
        var wanted = Microsoft.AspNetCore.WebUtilities.QueryHelpers.ParseQuery(query["metadata"]);
        var limit = int.TryParse(query["limit"], NumberStyles.None, CultureInfo.InvariantCulture, out var most) ? Math.Min(most, 100) : 100;
        var skip = int.TryParse(query["nextToken"], NumberStyles.None, CultureInfo.InvariantCulture, out var token) ? token : 0;
        var found = _sandboxes.Values
            .Where(sandbox => wanted.All(entry => sandbox.Metadata.GetValueOrDefault(entry.Key) == entry.Value))
            .OrderBy(sandbox => sandbox.StartedAt)
            .ThenBy(sandbox => sandbox.Id, StringComparer.Ordinal)
            .ToArray();
        if (skip + limit < found.Length)
        {
            context.Response.Headers["x-next-token"] = (skip + limit).ToString(CultureInfo.InvariantCulture);
        }

        return WriteJsonAsync(context, new JsonArray([.. found.Skip(skip).Take(limit).Select(sandbox => sandbox.Describe())]));
    }

    private async Task ConnectAsync(HttpContext context, EmulatedRequest request, string id)
    {
        if (!_sandboxes.TryGetValue(id, out var sandbox))
        {
            await FailAsync(context, 404, $"sandbox \"{id}\" not found");
            return;
        }

        // The time is only ever made longer here.
        var until = TimeProvider.System.GetUtcNow().AddSeconds((int?)JsonNode.Parse(request.Body)!["timeout"] ?? 300);
        if (until > sandbox.EndAt)
        {
            Schedule(sandbox, (int)(until - TimeProvider.System.GetUtcNow()).TotalSeconds);
        }

        var body = sandbox.Describe();
        body["envdAccessToken"] = sandbox.AccessToken;
        await WriteJsonAsync(context, body);
    }

    private Task ExtendAsync(HttpContext context, EmulatedRequest request, EmulatedE2BSandbox sandbox)
    {
        Schedule(sandbox, (int)JsonNode.Parse(request.Body)!["timeout"]!);
        context.Response.StatusCode = 204;
        return Task.CompletedTask;
    }

    private async Task DeleteAsync(HttpContext context, string id)
    {
        await ExpireAsync(id);
        context.Response.StatusCode = 204;
    }

    private void Schedule(EmulatedE2BSandbox sandbox, int seconds)
    {
        sandbox.EndAt = TimeProvider.System.GetUtcNow().AddSeconds(seconds);
        sandbox.Expiry?.Dispose();
        sandbox.Expiry = new Timer(_ => _ = ExpireAsync(sandbox.Id), null, TimeSpan.FromSeconds(seconds), Timeout.InfiniteTimeSpan);
    }

    private static Dictionary<string, string> Map(JsonNode? node) =>
        node?.AsObject().ToDictionary(entry => entry.Key, entry => (string)entry.Value!, StringComparer.Ordinal) ?? [];
}
