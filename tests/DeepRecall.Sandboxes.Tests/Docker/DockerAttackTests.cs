using System.Globalization;
using System.Net;
using System.Net.Sockets;
using DeepRecall.Sandboxes.Docker;
using DeepRecall.Trajectory;

namespace DeepRecall.Sandboxes.Tests.Docker;

/// <summary>Model code that means harm, in a container with the default options.</summary>
public sealed class DockerAttackTests : IAsyncDisposable
{
    private readonly string _mark = Guid.NewGuid().ToString("N");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync() => await TestEngine.AssertNothingLeftAsync(_mark);

    [Theory]
    [InlineData("files")]
    [InlineData("network")]
    [InlineData("processes")]
    [InlineData("escapes")]
    public async Task Attack_ComesToNothing(string kind)
    {
        var attacks = kind switch
        {
            "files" => DockerAttacks.Files,
            "network" => DockerAttacks.Network,
            "processes" => DockerAttacks.Processes,
            _ => DockerAttacks.Escapes,
        };
        await using var repl = await StartAsync();
        List<string> successes = [];
        foreach (var (attack, code) in attacks)
        {
            var result = await repl.RunAsync($"{DockerAttacks.Prelude}\n{code}");
            if (result.Status != CellStatus.Error)
            {
                successes.Add($"{attack}: {result.Status} {result.Output}");
            }
            else if (result.ErrorType is "SyntaxError" or "NameError" or "AttributeError" or "TypeError")
            {
                successes.Add($"{attack} is no attack: {result.Error}");
            }
        }

        Assert.Empty(successes);
    }

    [Fact]
    public async Task Process_HasNoRights()
    {
        await using var repl = await StartAsync();
        var status = await repl.PrintAsync("print(open('/proc/self/status').read())");
        foreach (var line in (string[])["CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2", "Uid:\t65534\t65534\t65534\t65534", "Gid:\t65534\t65534\t65534\t65534"])
        {
            Assert.Contains(line, status, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task ListenersOfTheHost_AreNotReached()
    {
        using var tcp = new TcpListener(IPAddress.Loopback, 0);
        tcp.Start();
        using var abstractSocket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        abstractSocket.Bind(new UnixDomainSocketEndPoint($"\0deeprecall-{_mark}"));
        abstractSocket.Listen();
        await using var repl = await StartAsync();
        var result = await repl.RunAsync($"import socket\nsocket.create_connection(('127.0.0.1', {((IPEndPoint)tcp.LocalEndpoint).Port}), timeout=5)");
        Assert.Equal("ConnectionRefusedError", result.ErrorType);
        result = await repl.RunAsync($"socket.socket(socket.AF_UNIX).connect('\\0deeprecall-{_mark}')");
        Assert.Equal("ConnectionRefusedError", result.ErrorType);
        Assert.False(tcp.Pending());
    }

    [Fact]
    public async Task ForkBomb_IsBoundedAndOverWithItsContainer()
    {
        var options = TestEngine.Options(_mark);
        options.PidsLimit = 40;
        await using var repl = await TestRepl.StartAsync(new DockerSandbox(options), TestRepl.Settings with { CellTimeout = TimeSpan.FromSeconds(20), InterruptGrace = TimeSpan.FromSeconds(2) });
        var said = await repl.PrintAsync(
            """
            import os, time
            children = 0
            failure = None
            for i in range(1000):
                try:
                    pid = os.fork()
                except OSError as error:
                    failure = type(error).__name__
                    break
                if pid == 0:
                    time.sleep(600)
                    os._exit(0)
                children += 1
            print(failure, children)
            """);
        Assert.StartsWith("BlockingIOError ", said, StringComparison.Ordinal);
        Assert.InRange(int.Parse(said.Split(' ')[1], CultureInfo.InvariantCulture), 1, 40);
        Assert.Equal("still here\n", await repl.PrintAsync("print('still here')"));
    }

    [Fact]
    public async Task RunawayForkBomb_TakesOnlyItsContainer()
    {
        var settings = TestRepl.Settings with { CellTimeout = TimeSpan.FromSeconds(2), InterruptGrace = TimeSpan.FromSeconds(1) };
        await using var repl = await TestRepl.StartAsync(new DockerSandbox(TestEngine.Options(_mark)), settings);
        await using var neighbour = await StartAsync();
        var result = await repl.RunAsync("import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass");
        Assert.NotEqual(CellStatus.Ok, result.Status);
        Assert.Equal("unharmed\n", await neighbour.PrintAsync("print('unharmed')"));
        Assert.Equal("again\n", await repl.PrintAsync("print('again')"));
    }

    [Fact]
    public async Task KillingEverything_KillsNothingOutside()
    {
        await using var repl = await StartAsync();
        await using var neighbour = await StartAsync();
        var result = await repl.RunAsync("import os, signal, time\nif os.fork() == 0:\n    os.kill(-1, signal.SIGKILL)\ntime.sleep(10)");
        Assert.Equal(CellStatus.Died, result.Status);
        Assert.Equal("unharmed\n", await neighbour.PrintAsync("print('unharmed')"));
        Assert.Equal("again\n", await repl.PrintAsync("print('again')"));
    }

    [Fact]
    public async Task ProcessorTime_IsLimitedForAllProcessesTogether()
    {
        var options = TestEngine.Options(_mark);
        options.Cpus = 0.25;
        await using var repl = await TestRepl.StartAsync(new DockerSandbox(options));
        var used = double.Parse(
            await repl.PrintAsync(
                """
                import multiprocessing, os, time
                def spin():
                    end = time.monotonic() + 3
                    while time.monotonic() < end:
                        pass
                spinners = [multiprocessing.get_context("fork").Process(target=spin) for _ in range(4)]
                before = sum(os.times()[:4])
                for spinner in spinners:
                    spinner.start()
                for spinner in spinners:
                    spinner.join()
                print(sum(os.times()[:4]) - before)
                """),
            CultureInfo.InvariantCulture);
        Assert.InRange(used, 0.1, 2.5); // a quarter of some three seconds; four processes without a limit would use six on two processors
    }

    [Fact]
    public async Task GigabyteOfOutput_StopsNobody()
    {
        await using var repl = await StartAsync();
        var result = await repl.RunAsync("import os\npiece = b'x' * (1 << 20)\nfor i in range(1024):\n    os.write(1, piece)");
        Assert.Equal((CellStatus.Ok, (1L << 30) - 20_000), (result.Status, result.Dropped));
        Assert.Equal("next\n", await repl.PrintAsync("print('next')"));
    }

    private Task<TestRepl> StartAsync() => TestRepl.StartAsync(new DockerSandbox(TestEngine.Options(_mark)));
}
