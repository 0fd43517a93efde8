using System.Collections.Concurrent;

namespace DeepRecall.Testing.Emulators.Daytona;

/// <summary>What goes wrong at the emulated Daytona, and how it behaves where the real one has a choice.</summary>
public sealed class DaytonaFaults
{
    private readonly ConcurrentDictionary<(string Method, string Path), ConcurrentQueue<RequestFault>> _requests = new();

    /// <summary>After how many bytes of output a terminal's connection breaks; asked at its beginning. Null: never.</summary>
    public Func<long?> CutOutput { get; set; } = () => null;

    /// <summary>After how many bytes of input a terminal's connection breaks, the byte after them lost; asked at its beginning. Null: never.</summary>
    public Func<long?> CutInput { get; set; } = () => null;

    /// <summary>How many messages may wait for a client before it is dropped as too slow.</summary>
    public int QueuedMessages { get; set; } = 256;

    /// <summary>How long each message to a client takes.</summary>
    public TimeSpan SendDelay { get; set; }

    /// <summary>How much later a request is answered.</summary>
    public TimeSpan Delay { get; set; }

    /// <summary>What a login shell runs first: its noise.</summary>
    public string Profile { get; set; } = "echo 'Welcome to the sandbox'; PS1='\\[\\e[32m\\]daytona\\[\\e[0m\\] $ '\n";

    /// <summary>The states that a sandbox goes through until it is started; each is told once.</summary>
    public IReadOnlyList<string> StartStates { get; set; } = ["creating", "pulling_snapshot", "starting"];

    /// <summary>In which state a sandbox ends up, and why, in place of being started.</summary>
    public (string State, string Reason)? StartFailure { get; set; }

    /// <summary>Whether a list has sandboxes that were not asked for.</summary>
    public bool IgnoresFilters { get; set; }

    /// <summary>Whether every page of a list is the first one.</summary>
    public bool RepeatsPages { get; set; }

    /// <summary>Lets the next request fail that has no fault yet.</summary>
    /// <param name="method">The request's method.</param>
    /// <param name="path">How its path ends.</param>
    /// <param name="fault">How it fails.</param>
    /// <param name="times">How many requests do.</param>
    public void FailNext(string method, string path, RequestFault fault, int times = 1)
    {
        for (var time = 0; time < times; time++)
        {
            _requests.GetOrAdd((method, path), _ => new()).Enqueue(fault);
        }
    }

    internal RequestFault? Take(string method, string path)
    {
        foreach (var (request, faults) in _requests)
        {
            if (request.Method == method && path.EndsWith(request.Path, StringComparison.Ordinal) && faults.TryDequeue(out var fault))
            {
                return fault;
            }
        }

        return null;
    }
}

/// <summary>How a request fails.</summary>
/// <param name="Status">With what status; 0 is a connection that breaks.</param>
/// <param name="Message">With what message.</param>
public sealed record RequestFault(int Status, string Message = "injected")
{
    /// <summary>How long the service asks to wait, in seconds.</summary>
    public string? RetryAfter { get; init; }

    /// <summary>Whether the request is carried out all the same, and only its answer is lost.</summary>
    public bool CarriedOut { get; init; }

    /// <summary>What the failure waits for.</summary>
    public Task When { get; init; } = Task.CompletedTask;
}
