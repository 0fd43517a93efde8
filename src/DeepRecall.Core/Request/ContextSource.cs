namespace DeepRecall.Request;

/// <summary>Where a context's bytes come from. A source can be written any number of times.</summary>
internal abstract class ContextSource(ContextFormat format, string? name)
{
    public ContextFormat Format { get; } = format;

    public string? Name { get; } = name;

    /// <summary>Tells this content from any other; equal only for equal contents.</summary>
    public virtual string Identity { get; } = Guid.NewGuid().ToString("N");

    /// <summary>The text itself, for a text so short that an upload would cost more; otherwise <see langword="null"/>.</summary>
    public virtual string? Inline => null;

    /// <summary>Fails where the source can be seen to be unusable, before anything is started for it.</summary>
    public virtual void EnsureReadable()
    {
    }

    /// <summary>Writes the content as UTF-8.</summary>
    /// <returns>How many characters UTF-8 could not hold and were replaced.</returns>
    public abstract Task<long> WriteAsync(Stream target, CancellationToken cancellationToken);
}
