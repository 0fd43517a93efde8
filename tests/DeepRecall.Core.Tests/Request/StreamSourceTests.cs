using System.IO.Compression;
using DeepRecall.Request;

namespace DeepRecall.Tests.Request;

public sealed class StreamSourceTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Stream_IsWrittenTheSameEachTimeFromWhereItStood(bool seekable)
    {
        var bytes = Enumerable.Range(0, 600_000).Select(index => (byte)(index * 7)).ToArray();
        using var memory = new MemoryStream(seekable ? [1, 2, 3, .. bytes] : Compress(bytes));
        memory.Position = seekable ? 3 : 0;
        using Stream stream = seekable ? memory : new GZipStream(memory, CompressionMode.Decompress);
        var source = new StreamSource(stream, ContextFormat.Text, "name");
        for (var round = 0; round < 3; round++)
        {
            using var target = new MemoryStream();
            Assert.Equal(0, await source.WriteAsync(target, Token));
            Assert.Equal(bytes, target.ToArray());
        }
    }

    [Fact]
    public async Task StreamOfTwoRequestsAtATime_IsWholeForEach()
    {
        var bytes = new byte[2_000_000];
        new Random(1).NextBytes(bytes);
        using var stream = new MemoryStream(bytes);
        var source = new StreamSource(stream, ContextFormat.Text, null);
        var copies = await Task.WhenAll(Enumerable.Range(0, 4).Select(async _ =>
        {
            using var target = new MemoryStream();
            await source.WriteAsync(target, Token);
            return target.ToArray();
        }));
        Assert.All(copies, copy => Assert.Equal(bytes, copy));
    }

    [Fact]
    public async Task ReadThatHeedsNoToken_IsLeftBehind_AndFillsNoFileAnyMore()
    {
        var stream = new DeafStream();
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var writing = new StreamSource(stream, ContextFormat.Text, null).WriteAsync(Stream.Null, cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => writing.WaitAsync(TimeSpan.FromSeconds(30), Token));
        stream.Data.SetResult();
        await Task.Delay(200, Token);
        Assert.Equal(1, stream.Reads);
    }

    private static byte[] Compress(byte[] bytes)
    {
        using var target = new MemoryStream();
        using (var gzip = new GZipStream(target, CompressionMode.Compress))
        {
            gzip.Write(bytes);
        }

        return target.ToArray();
    }

    /// <summary>Has a byte whenever it is asked for one after <see cref="Data"/>, and cannot be told to stop waiting for that.</summary>
    private sealed class DeafStream : Stream
    {
        public TaskCompletionSource Data { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public int Reads { get; private set; }

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            Reads++;
            await Data.Task;
            return Math.Min(1, buffer.Length);
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
