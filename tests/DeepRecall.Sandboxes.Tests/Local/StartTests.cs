using System.Text;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Tests.Local;

/// <summary>How a REPL comes up, and what is said when it does not.</summary>
public sealed class StartTests
{
    [Theory]
    [InlineData("Welcome!\r\nLast login: never\n\n")]
    [InlineData("{\n[1]\n{\"method\":\"ready\"}\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"method\":\"ready\",\"params\":{\"nonce\":\"wrong\",\"pid\":1,\"python\":\"3.9\"}}\n")]
    [InlineData("\u001b]0;title\u0007\u001b[?2004h\n")]
    [InlineData("root@sandbox:~$ ")]
    public async Task NoiseBeforeTheWorkerIsReady_IsSkipped(string noise)
    {
        var settings = TestRepl.Settings with { StartTimeout = TimeSpan.FromSeconds(15) };
        await using var repl = await TestRepl.StartAsync(new NoisySandbox(_ => Encoding.UTF8.GetBytes(noise)), settings);
        Assert.Equal("up\n", await repl.PrintAsync("print('up')"));
    }

    [Fact]
    public async Task NoiseThatIsNotUtf8_IsSkipped()
    {
        await using var repl = await TestRepl.StartAsync(new NoisySandbox(_ => [0xFF, 0, 0xC3, (byte)'{', (byte)'\n']));
        Assert.Equal("up\n", await repl.PrintAsync("print('up')"));
    }

    [Fact]
    public async Task SandboxThatDoesNotStartInTime_IsSaidToBeLate()
    {
        var settings = TestRepl.Settings with { StartTimeout = TimeSpan.FromMilliseconds(200) };
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(new SilentSandbox(), settings));
        Assert.Contains("'silent' did not start within 0.2 seconds", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WorkerThatEndsAtOnce_IsSaidToHaveEndedAndWhy()
    {
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(new BrokenWorkerSandbox("import sys\nsys.exit('a reason on standard error')")));
        Assert.Contains("ended before it was ready: exit code 1", error.Message, StringComparison.Ordinal);
        Assert.Contains("a reason on standard error", error.Message, StringComparison.Ordinal);
    }

    /// <summary>An environment that never comes up.</summary>
    private sealed class SilentSandbox : ISandbox
    {
        public string Name => "silent";

        public string Description => "Nothing runs here.";

        public async Task<ISandboxProcess> StartAsync(SandboxStartRequest request, CancellationToken cancellationToken)
        {
            await Task.Delay(Timeout.Infinite, cancellationToken);
            throw new InvalidOperationException();
        }
    }

    /// <summary>A local sandbox with another worker.</summary>
    private sealed class BrokenWorkerSandbox(string source) : ISandbox
    {
        private readonly LocalSandbox _inner = new();

        public string Name => "broken";

        public string Description => _inner.Description;

        public Task<ISandboxProcess> StartAsync(SandboxStartRequest request, CancellationToken cancellationToken) =>
            _inner.StartAsync(request with { WorkerSource = source }, cancellationToken);
    }
}
