namespace DeepRecall.Request;

/// <summary>A context that is a file on the host.</summary>
internal sealed class FileSource(string path, ContextFormat format) : ContextSource(format, System.IO.Path.GetFileName(path))
{
    public override string Identity
    {
        get
        {
            var file = new FileInfo(path);
            return $"{path} {(file.Exists ? file.Length : 0)} {file.LastWriteTimeUtc.Ticks}";
        }
    }

    public override void EnsureReadable()
    {
        if (Directory.Exists(path))
        {
            throw new ArgumentException($"The context '{path}' is a directory; a file is needed.", nameof(path));
        }

        if (!File.Exists(path))
        {
            throw new FileNotFoundException($"The context file '{path}' does not exist.", path);
        }
    }

    public override async Task<long> WriteAsync(Stream target, CancellationToken cancellationToken)
    {
        var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0, FileOptions.Asynchronous | FileOptions.SequentialScan);
        await using (file.ConfigureAwait(false))
        {
            await file.CopyToAsync(target, StreamSource.CopySize, cancellationToken).ConfigureAwait(false);
        }

        return 0;
    }
}
