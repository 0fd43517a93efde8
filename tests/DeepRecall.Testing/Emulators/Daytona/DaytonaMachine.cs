using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace DeepRecall.Testing.Emulators.Daytona;

/// <summary>An emulated sandbox: its machine, its terminals, and what it was asked to be.</summary>
internal sealed class DaytonaMachine
{
    private readonly Queue<string> _states;
    private readonly DaytonaFaults _faults;

    public DaytonaMachine(JsonElement request, DaytonaFaults faults, int order)
    {
        Request = request;
        Order = order;
        _faults = faults;
        _states = new Queue<string>(faults.StartStates);
        Name = request.TryGetProperty("name", out var name) && name.GetString() is { Length: > 0 } given ? given : Id;
        Labels = Map("labels");
        Machine = new LocalMachine(Map("env"));
        File.WriteAllText(Path.Combine(Machine.Root, ".bash_profile"), faults.Profile);
    }

    public string Id { get; } = Guid.NewGuid().ToString();

    public string Created { get; } = DateTimeOffset.UtcNow.ToString("O");

    public string Name { get; }

    public int Order { get; }

    public JsonElement Request { get; }

    public IReadOnlyDictionary<string, string> Labels { get; }

    public LocalMachine Machine { get; }

    public ConcurrentDictionary<string, DaytonaPty> Terminals { get; } = new(StringComparer.Ordinal);

    /// <summary>The sandbox as the API tells it. Each time it is told, it is one state further on.</summary>
    public JsonObject Tell(string toolbox, bool advance)
    {
        var state = "started";
        lock (_states)
        {
            if (_states.TryPeek(out var earlier))
            {
                state = earlier;
                _ = advance ? _states.Dequeue() : earlier;
            }
            else if (_faults.StartFailure is { } failure)
            {
                state = failure.State;
            }
        }

        var told = new JsonObject
        {
            ["id"] = Id,
            ["organizationId"] = "org-1",
            ["name"] = Name,
            ["user"] = "daytona",
            ["env"] = JsonSerializer.SerializeToNode(Map("env")),
            ["labels"] = JsonSerializer.SerializeToNode(Labels),
            ["public"] = false,
            ["networkBlockAll"] = Request.TryGetProperty("networkBlockAll", out var block) && block.ValueKind == JsonValueKind.True,
            ["target"] = "us",
            ["cpu"] = 1,
            ["gpu"] = 0,
            ["memory"] = 1,
            ["disk"] = 3,
            ["state"] = state,
            ["desiredState"] = "started",
            ["autoStopInterval"] = 15,
            ["createdAt"] = Created,
            ["updatedAt"] = Created,
            ["toolboxProxyUrl"] = toolbox,
        };
        if (_faults.StartFailure is { } reason && state == reason.State)
        {
            told["errorReason"] = reason.Reason;
        }

        return told;
    }

    private Dictionary<string, string> Map(string name) =>
        Request.TryGetProperty(name, out var map) && map.ValueKind == JsonValueKind.Object
            ? map.EnumerateObject().ToDictionary(entry => entry.Name, entry => entry.Value.ToString(), StringComparer.Ordinal)
            : [];
}
