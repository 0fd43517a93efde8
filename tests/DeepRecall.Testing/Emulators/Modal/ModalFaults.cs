using System.Collections.Concurrent;
using Grpc.Core;

namespace DeepRecall.Testing.Emulators.Modal;

/// <summary>What goes wrong at the emulated Modal, and how it behaves where the real one has a choice.</summary>
public sealed class ModalFaults
{
    private readonly ConcurrentDictionary<string, ConcurrentQueue<CallFault>> _calls = new(StringComparer.Ordinal);

    /// <summary>After how many bytes of output the connection that carries it breaks; asked at the beginning of each such stream. Null: never.</summary>
    public Func<long?> CutOutput { get; set; } = () => null;

    /// <summary>What happens to a write to a command's input.</summary>
    public Func<WriteFault> Write { get; set; } = () => WriteFault.None;

    /// <summary>How much later a call is carried out.</summary>
    public TimeSpan Delay { get; set; }

    /// <summary>The largest piece of output in one message.</summary>
    public int ChunkSize { get; set; } = 32 * 1024;

    /// <summary>How long a token of the control API is good.</summary>
    public TimeSpan TokenLifetime { get; set; } = TimeSpan.FromMinutes(20);

    /// <summary>How long a token of a command router is good.</summary>
    public TimeSpan RouterTokenLifetime { get; set; } = TimeSpan.FromMinutes(20);

    /// <summary>Whether an image is still to be built when it is asked for.</summary>
    public bool BuildsImages { get; set; }

    /// <summary>Why an image cannot be built; null when it can.</summary>
    public Func<string, string?> ImageFailure { get; set; } = _ => null;

    /// <summary>Whether a list has sandboxes that were not asked for.</summary>
    public bool IgnoresFilters { get; set; }

    /// <summary>Whether every page of a list is the first one.</summary>
    public bool RepeatsPages { get; set; }

    /// <summary>The address that is told of a sandbox; null for the true one.</summary>
    public string? SandboxAddress { get; set; }

    /// <summary>Lets the next call of a method fail that has no fault yet.</summary>
    public void FailNext(string method, CallFault fault, int times = 1)
    {
        for (var time = 0; time < times; time++)
        {
            _calls.GetOrAdd(method, _ => new()).Enqueue(fault);
        }
    }

    internal CallFault? Take(string method) => _calls.TryGetValue(method, out var faults) && faults.TryDequeue(out var fault) ? fault : null;
}

/// <summary>How a call fails.</summary>
/// <param name="Status">With what status.</param>
/// <param name="Detail">With what message.</param>
public sealed record CallFault(StatusCode Status, string Detail = "injected")
{
    /// <summary>How long the server asks to wait.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Whether the call is carried out all the same, and only its answer is lost.</summary>
    public bool CarriedOut { get; init; }

    /// <summary>What the answer waits for.</summary>
    public Task When { get; init; } = Task.CompletedTask;
}

/// <summary>What happens to a write.</summary>
public enum WriteFault
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>The connection breaks before anything is written.</summary>
    Lost,

    /// <summary>A part is written, and the connection breaks.</summary>
    Half,

    /// <summary>All is written, and the connection breaks before the answer.</summary>
    Unanswered,
}
