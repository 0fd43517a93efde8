using System.Text;
using DeepRecall.Request;
using DeepRecall.Trajectory;

namespace DeepRecall.Repl;

/// <summary>What the host has put into a REPL, and puts into a fresh one again: contexts and variables.</summary>
internal sealed class ReplState(TimeProvider time)
{
    private readonly List<ContextSource> _contexts = [];
    private readonly SortedDictionary<string, string> _variables = new(StringComparer.Ordinal);
    private readonly List<ContextRecord> _records = [];
    private readonly List<string> _notes = [];
    private int _loaded;
    private int _current;
    private int _earlier;
    private int _before;

    /// <summary>The contexts as the REPL has them.</summary>
    public IReadOnlyList<ContextRecord> Records => _records;

    /// <summary>What was found while loading them.</summary>
    public IReadOnlyList<string> Notes => _notes;

    /// <summary>How many contexts there are.</summary>
    public int Count => _contexts.Count;

    /// <summary>Which of the contexts is <c>context</c> too: the first one of the request that brought some last.</summary>
    public int Current => _current;

    /// <summary>Adds the contexts of a request, to be loaded.</summary>
    /// <param name="contexts">The contexts.</param>
    /// <param name="makeCurrent">Whether the first of them becomes <c>context</c>.</param>
    public void Add(IReadOnlyList<ContextSource> contexts, bool makeCurrent)
    {
        _notes.Clear();
        _before = _current;
        _current = makeCurrent && contexts.Count > 0 ? _contexts.Count : _current;
        _earlier = _contexts.Count;
        _contexts.AddRange(contexts);
    }

    /// <summary>Forgets what was loaded: the next worker has nothing.</summary>
    public void Reset()
    {
        _loaded = 0;
        _records.Clear();
        _notes.Clear();
    }

    /// <summary>Gives up those contexts of the request that could not be loaded, so that they do not spoil the next one.</summary>
    public void DropUnloaded()
    {
        var kept = Math.Max(_loaded, _earlier);
        _contexts.RemoveRange(kept, _contexts.Count - kept);
        _current = _current < _contexts.Count ? _current : _before;
    }

    /// <summary>Loads the contexts that are not loaded yet.</summary>
    /// <param name="worker">Where to.</param>
    /// <param name="replyTimeout">How long the worker may take to answer each time: infinite where it cannot be code that keeps it from answering.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <exception cref="InvalidDataException">A context is not what it was said to be.</exception>
    /// <exception cref="TimeoutException">The worker did not answer in time.</exception>
    public async Task LoadAsync(ReplWorker worker, TimeSpan replyTimeout, CancellationToken cancellationToken)
    {
        var fresh = _loaded == 0;
        for (; _loaded < _contexts.Count; _loaded++)
        {
            try
            {
                await LoadAsync(worker, _loaded, replyTimeout, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception error) when (_loaded < _earlier && error is IOException or ObjectDisposedException or UnauthorizedAccessException)
            {
                // Of an earlier request of the conversation, which the caller need not have kept.
                _notes.Add($"context_{_loaded} could not be loaded again: {error.Message}");
            }
        }

        if (fresh)
        {
            foreach (var (name, json) in _variables)
            {
                await SendAsync(worker, name, json, replyTimeout, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Sets a variable from JSON; a worker that comes later gets it too.</summary>
    /// <exception cref="TimeoutException">The worker did not answer in time.</exception>
    public async Task SetAsync(ReplWorker? worker, string name, string json, TimeSpan replyTimeout, CancellationToken cancellationToken)
    {
        _variables[name] = json;
        if (worker is not null)
        {
            await SendAsync(worker, name, json, replyTimeout, cancellationToken).ConfigureAwait(false);
        }
    }

    private static string ToName(ContextFormat format) => format switch
    {
        ContextFormat.Json => "json",
        ContextFormat.JsonLines => "jsonl",
        _ => "text",
    };

    private async Task LoadAsync(ReplWorker worker, int index, TimeSpan replyTimeout, CancellationToken cancellationToken)
    {
        var source = _contexts[index];
        var variable = $"context_{index}";
        var isCurrent = index == _current ? true : (bool?)null;
        long replaced = 0;
        ValueParams value;
        if (source.Inline is { } text)
        {
            value = new ValueParams(ToName(source.Format), Index: index, Text: text, Current: isCurrent);
        }
        else
        {
            long bytes = 0;
            var path = await worker.UploadAsync(
                variable,
                async (stream, token) =>
                {
                    var counting = new CountingStream(stream);
                    replaced = await source.WriteAsync(counting, token).ConfigureAwait(false);
                    bytes = counting.Count;
                },
                cancellationToken).ConfigureAwait(false);
            value = new ValueParams(ToName(source.Format), Index: index, Path: path, Bytes: bytes, Current: isCurrent);
        }

        var report = await SetAsync(worker, "set_context", value, source.Name ?? variable, replyTimeout, cancellationToken).ConfigureAwait(false);
        _records.Add(new ContextRecord(variable, source.Name, report.Type, report.Length, report.Characters));
        if (replaced > 0)
        {
            _notes.Add($"{source.Name ?? variable}: {replaced:N0} lone surrogates, which UTF-8 cannot hold, were replaced by U+FFFD.");
        }

        if (report.Replaced > 0)
        {
            _notes.Add($"{source.Name ?? variable}: {report.Replaced:N0} byte sequences are not UTF-8 and were replaced by U+FFFD.");
        }
    }

    private async Task SendAsync(ReplWorker worker, string name, string json, TimeSpan replyTimeout, CancellationToken cancellationToken)
    {
        var path = await worker.UploadAsync(
            name,
            async (stream, token) => await stream.WriteAsync(Encoding.UTF8.GetBytes(json), token).ConfigureAwait(false),
            cancellationToken).ConfigureAwait(false);
        await SetAsync(worker, "set_variable", new ValueParams("json", Name: name, Path: path), name, replyTimeout, cancellationToken).ConfigureAwait(false);
    }

    private async Task<ValueReport> SetAsync(ReplWorker worker, string method, ValueParams value, string name, TimeSpan replyTimeout, CancellationToken cancellationToken)
    {
        try
        {
            return await worker.RequestAsync(method, value, ProtocolJson.Default.ValueParams, ProtocolJson.Default.ValueReport, cancellationToken)
                .WaitAsync(replyTimeout, time, cancellationToken).ConfigureAwait(false);
        }
        catch (WorkerErrorException error)
        {
            throw new InvalidDataException($"The context '{name}' could not be loaded: {error.Message}", error);
        }
    }
}
