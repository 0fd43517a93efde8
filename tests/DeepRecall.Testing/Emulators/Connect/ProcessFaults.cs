using System.Collections.Concurrent;

namespace DeepRecall.Testing.Emulators.Connect;

/// <summary>What goes wrong between a process in an emulated sandbox and its client; all of it can be switched while it runs.</summary>
public sealed class ProcessFaults
{
    private readonly ConcurrentQueue<int> _cuts = new();
    private readonly ConcurrentQueue<InputFault> _inputs = new();
    private readonly ConcurrentDictionary<StreamCut, byte> _streams = new();
    private int _down;

    /// <summary>The most bytes of output in one event.</summary>
    public int ChunkBytes { get; set; } = 32 * 1024;

    /// <summary>How long an answer, and each event, is late.</summary>
    public TimeSpan Delay { get; set; }

    /// <summary>Overrides the interval of keepalive events that the client asks for.</summary>
    public TimeSpan? KeepAlive { get; set; }

    /// <summary>Bytes that every process writes before its own.</summary>
    public byte[] Noise { get; set; } = [];

    /// <summary>Whether no connection gets through at all.</summary>
    public bool IsDown
    {
        get => Volatile.Read(ref _down) != 0;
        set
        {
            Volatile.Write(ref _down, value ? 1 : 0);
            if (value)
            {
                DropStreams();
            }
        }
    }

    /// <summary>How many streams of events are open.</summary>
    public int OpenStreams => _streams.Count;

    /// <summary>Drops every open stream at once.</summary>
    public void DropStreams()
    {
        foreach (var stream in _streams.Keys)
        {
            stream.Drop();
        }
    }

    /// <summary>Drops a stream after so many more bytes, in the middle of an event as a rule.</summary>
    public void CutStreamAfter(int bytes) => _cuts.Enqueue(bytes);

    /// <summary>Lets the next input fail.</summary>
    public void FailInput(InputFault fault) => _inputs.Enqueue(fault);

    /// <summary>Forgets the cuts and failures that have not happened yet.</summary>
    public void Clear()
    {
        _cuts.Clear();
        _inputs.Clear();
    }

    internal InputFault? NextInput() => _inputs.TryDequeue(out var fault) ? fault : null;

    /// <summary>The fault of a command that writes input, where there is no other way to write any.</summary>
    internal InputFault? NextInput(string command) => command.EndsWith("/in", StringComparison.Ordinal) || command.StartsWith("cat ", StringComparison.Ordinal) ? NextInput() : null;

    /// <summary>How many of the next bytes of a stream get through before it is cut; <see langword="null"/> for all.</summary>
    internal int? BytesBeforeCut(StreamCut stream, int length)
    {
        if (stream.Left is null && _cuts.TryDequeue(out var cut))
        {
            stream.Left = cut;
        }

        if (stream.Left is not { } left)
        {
            return null;
        }

        stream.Left = left - length;
        return left < length ? left : null;
    }

    internal void Open(StreamCut stream)
    {
        _streams[stream] = 0;
        if (IsDown)
        {
            stream.Drop();
        }
    }

    internal void Close(StreamCut stream) => _streams.TryRemove(stream, out _);

    /// <summary>An open stream, and how to drop it.</summary>
    internal sealed class StreamCut(Action drop)
    {
        public int? Left { get; set; }

        public void Drop() => drop();
    }
}

/// <summary>How an input fails: after so many of its bytes were written (all, when there are fewer), and with which answer.</summary>
/// <param name="BytesWritten">The bytes that reach the process.</param>
/// <param name="Answer">A Connect code (a 503 where input goes by commands), or <see langword="null"/> for a connection that breaks.</param>
public sealed record InputFault(int BytesWritten, string? Answer = null);
