using System.Collections.Concurrent;

namespace DeepRecall.Sandboxes.Local.Confinement;

/// <summary>Looks after what no limit of the kernel's bounds: the size of the scratch directory, and the number of threads and processes.</summary>
internal sealed class ProcessWatch : IDisposable
{
    private const int MostOfTheTime = 10; // a look at the directory may take one part in this many
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    private readonly int _processId;
    private readonly string _scratch;
    private readonly ConfinementSettings _settings;
    private readonly Action<string> _onExceeded;
    private readonly TimeProvider _time = TimeProvider.System;
    private readonly ConcurrentDictionary<string, long> _uploads = new(StringComparer.Ordinal);
    private readonly ITimer _timer;
    private long _ticks = -1;
    private long _nextMeasure;
    private int _isLooking;

    public ProcessWatch(int processId, string scratch, ConfinementSettings settings, Action<string> onExceeded)
    {
        _processId = processId;
        _scratch = scratch;
        _settings = settings;
        _onExceeded = onExceeded;
        _timer = _time.CreateTimer(static watch => ((ProcessWatch)watch!).Look(), this, Interval, Interval);
    }

    /// <summary>Leaves a file that the host puts into the directory out of its size, as long as it is there.</summary>
    public void Expect(string path, long length) => _uploads[path] = length;

    public void Dispose() => _timer.Dispose();

    private void Look()
    {
        if (Interlocked.Exchange(ref _isLooking, 1) != 0)
        {
            return; // the last look is not over
        }

        try
        {
            if (TryFindExcess() is { } excess)
            {
                _onExceeded(excess);
                _timer.Dispose();
            }
        }
        catch (Exception)
        {
            // On a timer's thread an exception would be the host's end. The next look, a tenth of a second away, tries again.
        }
        finally
        {
            Volatile.Write(ref _isLooking, 0);
        }
    }

    private string? TryFindExcess()
    {
        try
        {
            return FindExcess();
        }
        catch (Exception error)
        {
            // What cannot be measured may be past every limit.
            return $"its use of threads and of its scratch directory could not be measured: {error.Message}";
        }
    }

    private string? FindExcess()
    {
        if (ProcessFacts.ReadUsage(_processId) is not { } usage)
        {
            return ProcessFacts.IsAlive(_processId) ? "its use of threads and of its scratch directory could not be measured: /proc does not show it any more" : null;
        }

        var threads = usage.Threads;
        var ticks = usage.Ticks;
        List<int> processes = [_processId];
        if (_settings.AllowSubprocesses)
        {
            processes.AddRange(ProcessTree.Descendants(_processId));
            var below = processes.Skip(1).Select(ProcessFacts.ReadUsage).OfType<ProcessFacts.Usage>().ToArray();
            threads += below.Sum(process => process.Threads);
            ticks += below.Sum(process => process.Ticks);
        }

        if (threads > _settings.ThreadLimit)
        {
            return $"it had {threads:N0} threads, and {_settings.ThreadLimit:N0} are allowed ({nameof(LocalSandboxOptions)}.{nameof(LocalSandboxOptions.ThreadLimit)})";
        }

        // What took no time wrote nothing, or next to nothing: the kernel counts in hundredths of a second.
        var isIdle = ticks == _ticks;
        if (_time.GetTimestamp() < _nextMeasure || isIdle)
        {
            return null;
        }

        _ticks = ticks;
        var started = _time.GetTimestamp();
        var excess = FindExcessOfScratch(processes);
        _nextMeasure = started + ((_time.GetTimestamp() - started) * MostOfTheTime);
        return excess;
    }

    private string? FindExcessOfScratch(List<int> processes)
    {
        const string Option = $"{nameof(LocalSandboxOptions)}.{nameof(LocalSandboxOptions.ScratchLimit)}";
        var uploads = CountUploads();
        if (DirectorySize.Measure(_scratch, _settings.ScratchLimit + uploads) is not { } size)
        {
            return "its scratch directory is nested so deep that its size cannot be found";
        }

        size += processes.Sum(DirectorySize.MeasureDeletedFiles) - uploads;
        return size > _settings.ScratchLimit ? $"its scratch directory grew past the {_settings.ScratchLimit:N0} bytes that are allowed ({Option})" : null;
    }

    private long CountUploads()
    {
        var total = 0L;
        foreach (var (path, length) in _uploads)
        {
            if (File.Exists(path))
            {
                total += Math.Max(DirectorySize.LeastFileSize, length);
            }
            else
            {
                _uploads.TryRemove(path, out _);
            }
        }

        return total;
    }
}
