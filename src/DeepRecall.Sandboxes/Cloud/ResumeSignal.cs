using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Cloud;

/// <summary>Keeps the promise of <see cref="ISandboxProcess.Resumed"/> that a handler which comes late is told at once.</summary>
internal sealed class ResumeSignal(object sender)
{
    private readonly Lock _lock = new();
    private EventHandler? _handlers;
    private bool _raised;

    public void Add(EventHandler handler)
    {
        bool late;
        lock (_lock)
        {
            _handlers += handler;
            late = _raised;
        }

        if (late)
        {
            handler(sender, EventArgs.Empty);
        }
    }

    public void Remove(EventHandler handler)
    {
        lock (_lock)
        {
            _handlers -= handler;
        }
    }

    public void Raise()
    {
        EventHandler? handlers;
        lock (_lock)
        {
            _raised = true;
            handlers = _handlers;
        }

        handlers?.Invoke(sender, EventArgs.Empty);
    }
}
