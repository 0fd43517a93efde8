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

    private static byte[] Compress(byte[] bytes)
    {
        using var target = new MemoryStream();
        using (var gzip = new GZipStream(target, CompressionMode.Compress))
        {
            gzip.Write(bytes);
        }

        return target.ToArray();
    }
}
