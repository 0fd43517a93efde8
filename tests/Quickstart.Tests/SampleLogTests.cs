namespace Quickstart.Tests;

public class SampleLogTests
{
    [Fact]
    public async Task TheSameSeed_MakesTheSameLog_OfTenMegabytes()
    {
        var first = await WriteAsync(5);

        Assert.InRange(first.Length, SampleLog.Size, SampleLog.Size + 1000);
        Assert.Equal(first, await WriteAsync(5));
    }

    [Fact]
    public async Task EveryNote_StandsInTheLog()
    {
        var log = System.Text.Encoding.UTF8.GetString(await WriteAsync(6));

        Assert.All(new SampleLog(6).Incidents, incident => Assert.Contains($" NOTE {incident.Service} {incident.Text}\n", log, StringComparison.Ordinal));
    }

    private static async Task<byte[]> WriteAsync(int seed)
    {
        using var log = new MemoryStream();
        await new SampleLog(seed).WriteAsync(log, TestContext.Current.CancellationToken);
        return log.ToArray();
    }
}
