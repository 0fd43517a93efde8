using System.Text;
using CsCheck;
using DeepRecall.Repl;

namespace DeepRecall.Tests.Repl;

public sealed class LineReaderTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Lines_DoNotDependOnHowTheStreamIsCut()
    {
        var line = Gen.OneOf(Gen.Byte.Array[0, 50], Gen.Byte.Array[8_000, 40_000]).Select(bytes => Array.ConvertAll(bytes, value => value == '\n' ? (byte)'n' : value));
        await Gen.Select(line.Array[0, 12], Gen.Int[1, 20_000].Array[1, 10], Gen.Bool).SampleAsync(
            async (lines, sizes, ended) =>
            {
                var bytes = lines.SelectMany(item => item.Append((byte)'\n')).Concat(ended ? [] : "cut off"u8.ToArray()).ToArray();
                var read = await ReadAllAsync(new LineReader(new SlicedStream(bytes, sizes), 1_000_000));
                Assert.Equal(lines, read);
            },
            iter: 200,
            threads: 1);
    }

    [Fact]
    public async Task LineThatIsTooLong_IsRefused()
    {
        var bytes = Encoding.UTF8.GetBytes("short\n" + new string('x', 200_000) + "\n");
        var reader = new LineReader(new SlicedStream(bytes, [1_000]), 50_000);

        Assert.Equal("short", Encoding.UTF8.GetString((await reader.ReadAsync(Token)).GetValueOrDefault().Span));
        await Assert.ThrowsAsync<InvalidDataException>(async () => await reader.ReadAsync(Token));
    }

    [Fact]
    public async Task LineOfTheGreatestLength_IsRead()
    {
        var bytes = Encoding.UTF8.GetBytes(new string('x', 50_000) + "\nnext\n");
        var read = await ReadAllAsync(new LineReader(new SlicedStream(bytes, [777]), 50_000));
        Assert.Equal([50_000, 4], read.Select(line => line.Length));
    }

    [Fact]
    public async Task LongLineInSmallReads_TakesTimeLinearInItsLength()
    {
        var bytes = new byte[20_000_000];
        bytes.AsSpan().Fill((byte)'x');
        bytes[^1] = (byte)'\n';
        var started = TimeProvider.System.GetTimestamp();
        var read = await ReadAllAsync(new LineReader(new SlicedStream(bytes, [1_024]), 64_000_000));

        Assert.Equal(bytes.Length - 1, Assert.Single(read).Length);

        // A reader that looks at each byte again with every read would look at 2e11 of them.
        Assert.True(TimeProvider.System.GetElapsedTime(started) < TimeSpan.FromSeconds(10));
    }

    private static async Task<List<byte[]>> ReadAllAsync(LineReader reader)
    {
        List<byte[]> lines = [];
        while (await reader.ReadAsync(Token) is { } line)
        {
            lines.Add(line.ToArray());
        }

        return lines;
    }

    /// <summary>Gives its bytes in reads of the given sizes, over and over.</summary>
    private sealed class SlicedStream(byte[] bytes, int[] sizes) : MemoryStream(bytes, writable: false)
    {
        private int _reads;

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(buffer.Length, sizes[_reads++ % sizes.Length])], cancellationToken);
    }
}
