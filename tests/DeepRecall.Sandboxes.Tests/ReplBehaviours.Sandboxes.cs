using System.Security.Cryptography;
using System.Text;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Tests;

// What an environment does beneath the REPL: its process, its streams, its files, and what is left of them.
public abstract partial class ReplBehaviours
{
    /// <summary>A worker that speaks no protocol: it says its argument, and then each byte that it hears.</summary>
    private const string EchoWorker = """
        import os, sys
        def main(nonce):
            send(nonce.encode() + b"\n")
            while True:
                data = os.read(0, 65536)
                if not data:
                    os._exit(0)
                send(data)
        def send(data):
            while data:
                data = data[os.write(1, data):]
        if __name__ == "__main__":
            main(sys.argv[1])
        """;

    [Fact]
    public async Task Streams_CarryEveryByteBothWays()
    {
        await using var process = await StartEchoAsync();
        byte[] sent = [.. Enumerable.Range(0, 256).Select(value => (byte)value), .. "\r\n\n\r\u0004\u0003\u001a\u0011\u0013\0"u8, .. Enumerable.Range(0, 256).Select(value => (byte)(255 - value))];
        await process.Input.WriteAsync(sent, Token);
        await process.Input.FlushAsync(Token);
        var heard = new byte[sent.Length];
        await process.Output.ReadExactlyAsync(heard, Token).AsTask().WaitAsync(TimeSpan.FromSeconds(30), Token);
        Assert.Equal(sent, heard);
    }

    [Fact]
    public async Task Streams_HoldBackWhoWritesFasterThanTheOtherReads()
    {
        const int Length = 32 * 1024 * 1024;
        await using var process = await StartEchoAsync();
        var sent = new byte[Length];
        new Random(1).NextBytes(sent);
        var writing = Task.Run(
            async () =>
            {
                await process.Input.WriteAsync(sent, Token);
                await process.Input.FlushAsync(Token);
            },
            Token);

        // Nobody reads for a while: what is on the way waits, and none of it is lost.
        await Task.Delay(TimeSpan.FromSeconds(1), Token);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[50_000];
        for (var heard = 0; heard < Length;)
        {
            var read = await process.Output.ReadAsync(buffer, Token).AsTask().WaitAsync(TimeSpan.FromSeconds(60), Token);
            Assert.NotEqual(0, read);
            hash.AppendData(buffer, 0, read);
            heard += read;
        }

        await writing;
        Assert.Equal(SHA256.HashData(sent), hash.GetHashAndReset());
    }

    [Fact]
    public async Task KilledProcess_EndsItsStreamsAndTellsItsEnd()
    {
        await using var process = await StartEchoAsync();
        await process.KillAsync(Token);
        var exit = await process.Exited.WaitAsync(TimeSpan.FromSeconds(60), Token);
        Assert.True(exit is { Signal: 9 } or { ExitCode: null } or { ExitCode: not 0 }, exit.ToString());
        Assert.Equal(0, await process.Output.ReadAsync(new byte[100], Token).AsTask().WaitAsync(TimeSpan.FromSeconds(30), Token));

        // Whoever comes late finds nothing to do.
        await process.KillAsync(Token);
        await process.InterruptAsync(Token);
    }

    [Fact]
    public async Task Process_MayBeDisposedTwiceAndFromManyThreads()
    {
        var process = await StartEchoAsync();
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(async () => await process.DisposeAsync(), Token)));
        await process.DisposeAsync();
        await process.Exited.WaitAsync(TimeSpan.FromSeconds(60), Token);
        await AssertNothingLeftAsync();
    }

    [Fact]
    public async Task Session_MayBeDisposedTwice()
    {
        var repl = await StartAsync();
        await repl.DisposeAsync();
        await repl.DisposeAsync();
        await AssertNothingLeftAsync();
    }

    [Fact]
    public async Task SessionThatIsDisposedWhileACellRuns_LeavesNothing()
    {
        var repl = await StartAsync();
        await repl.PrintAsync("import subprocess\nchild = subprocess.Popen(['sleep', '600'], start_new_session=True)\nopen('left.txt', 'w').write('x' * 1000)");
        var cell = repl.RunAsync("while True:\n    pass");
        await Task.Delay(200, Token);
        await repl.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => cell.WaitAsync(TimeSpan.FromSeconds(90), Token));
        await AssertNothingLeftAsync();
    }

    [Fact]
    public async Task StartThatIsCancelled_LeavesNothing()
    {
        var sandbox = CreateSandbox();

        // At different moments: before the start, in the middle of it, and perhaps after its end.
        foreach (var delay in (int[])[0, 5, 15, 40, 80, 150])
        {
            using var cancelled = new CancellationTokenSource(delay);
            try
            {
                var process = await sandbox.StartAsync(new SandboxStartRequest { WorkerSource = EchoWorker, Nonce = "cancelled" }, cancelled.Token).WaitAsync(TimeSpan.FromSeconds(30), Token);
                await process.DisposeAsync();
            }
            catch (OperationCanceledException)
            {
            }
        }

        await AssertNothingLeftAsync();
    }

    [Fact]
    public async Task WorkerThatEndsAtOnce_SaysWhy()
    {
        var request = new SandboxStartRequest { WorkerSource = "import sys\ndef main(nonce):\n    sys.exit('a reason on standard error')\nif __name__ == '__main__':\n    main('')", Nonce = "x" };
        await using var process = await CreateSandbox().StartAsync(request, Token);
        await process.Output.CopyToAsync(Stream.Null, Token).WaitAsync(TimeSpan.FromSeconds(60), Token);
        var exit = await process.Exited.WaitAsync(TimeSpan.FromSeconds(60), Token);
        Assert.Equal(1, exit.ExitCode);
        Assert.Contains("a reason on standard error", exit.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(511)]
    [InlineData(512)]
    [InlineData(5_000_001)]
    public async Task UploadedFile_IsReadByteExact(int length)
    {
        var bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        var source = """
            import hashlib, os
            def main(nonce):
                path = b""
                while not path.endswith(b"\n"):
                    path += os.read(0, 4096)
                with open(path.decode().strip(), "rb") as file:
                    data = file.read()
                os.write(1, ("%d %s\n" % (len(data), hashlib.sha256(data).hexdigest())).encode())
                os.read(0, 1)
            if __name__ == "__main__":
                main("")
            """;
        await using var process = await CreateSandbox().StartAsync(new SandboxStartRequest { WorkerSource = source, Nonce = "x" }, Token);

        // In pieces, as a context that is streamed from somewhere comes.
        var path = await process.UploadAsync(
            "data_1-a.bin",
            async (stream, token) =>
            {
                for (var start = 0; start < length; start += 1_000_003)
                {
                    await stream.WriteAsync(bytes.AsMemory(start, Math.Min(1_000_003, length - start)), token);
                }
            },
            Token);
        await process.Input.WriteAsync(Encoding.UTF8.GetBytes(path + "\n"), Token);
        await process.Input.FlushAsync(Token);
        Assert.Equal($"{length} {Convert.ToHexStringLower(SHA256.HashData(bytes))}", await ReadLineAsync(process.Output));
    }

    [Theory]
    [InlineData("")]
    [InlineData("..")]
    [InlineData("../x")]
    [InlineData("a/b")]
    [InlineData("/etc/passwd")]
    [InlineData("a b")]
    [InlineData("a\0")]
    public async Task UploadWithANameThatIsAPath_IsRefused(string name)
    {
        await using var process = await StartEchoAsync();
        var error = await Assert.ThrowsAsync<ArgumentException>(() => process.UploadAsync(name, (_, _) => Task.CompletedTask, Token));
        Assert.Equal("name", error.ParamName);
    }

    [Fact]
    public async Task UploadThatFails_PassesItsExceptionOnAndHarmsNothing()
    {
        await using var process = await StartEchoAsync();
        await Assert.ThrowsAsync<InvalidTimeZoneException>(() => process.UploadAsync("x", (_, _) => throw new InvalidTimeZoneException(), Token));
        await process.UploadAsync("x", (_, _) => Task.CompletedTask, Token);
        await process.Input.WriteAsync("still here\n"u8.ToArray(), Token);
        await process.Input.FlushAsync(Token);
        Assert.Equal("still here", await ReadLineAsync(process.Output));
    }

    [Fact]
    public async Task WorkingDirectory_IsEmptyAndWritableAndItsOwn()
    {
        await using var first = await StartAsync();
        await using var second = await StartAsync();
        Assert.Equal("[]\n", await first.PrintAsync("import os, tempfile\nprint(os.listdir())"));
        await first.PrintAsync("with open('mine.txt', 'w') as file:\n    file.write('é' * 1000)\nwith tempfile.NamedTemporaryFile() as file:\n    file.write(b'x')");
        Assert.Equal("['mine.txt'] 1000\n", await first.PrintAsync("print(os.listdir(), len(open('mine.txt').read()))"));
        Assert.Equal("[]\n", await second.PrintAsync("import os\nprint(os.listdir())"));
    }

    [Fact]
    public async Task EnvironmentVariablesOfTheHost_AreNotSeen()
    {
        const string Name = "DEEPRECALL_TEST_SUITE_KEY";
        Environment.SetEnvironmentVariable(Name, "a-secret-of-the-host");
        try
        {
            await using var repl = await StartAsync();
            Assert.Equal("False\n", await repl.PrintAsync($"import os\nprint('{Name}' in os.environ)"));
            Assert.DoesNotContain("a-secret-of-the-host", await repl.PrintAsync("print(os.popen('env').read())"), StringComparison.Ordinal);
        }
        finally
        {
            Environment.SetEnvironmentVariable(Name, null);
        }
    }

    [Fact]
    public async Task ManyRepls_RunAtTheSameTimeAndMixNothing()
    {
        var sandbox = CreateSandbox();
        var outputs = await Task.WhenAll(Enumerable.Range(0, 6).Select(async number =>
        {
            await using var repl = await TestRepl.StartAsync(sandbox, TestRepl.Settings, (call, token) => TestRepl.Echo(call, token));
            await repl.PrintAsync($"me = {number}");
            var said = new StringBuilder();
            for (var cell = 0; cell < 20; cell++)
            {
                said.Append(await repl.PrintAsync($"print(me, llm_query('{number}-{cell}'))"));
            }

            return said.ToString();
        }));
        var expected = Enumerable.Range(0, 6).Select(number => string.Concat(Enumerable.Range(0, 20).Select(cell => $"{number} echo: {number}-{cell}\n")));
        Assert.Equal(expected, outputs);
        await AssertNothingLeftAsync();
    }

    [Fact]
    public void Description_TellsTheModelWhereItIs()
    {
        var sandbox = CreateSandbox();
        Assert.Matches("^[a-z0-9_-]+$", sandbox.Name);
        Assert.InRange(sandbox.Description.Length, 20, 1_000);
        Assert.EndsWith(".", sandbox.Description, StringComparison.Ordinal);
    }

    /// <summary>Fails unless all that the environment made for this test is gone; an environment that can look overrides it.</summary>
    protected virtual Task AssertNothingLeftAsync() => Task.CompletedTask;

    private static async Task<string> ReadLineAsync(Stream stream)
    {
        var line = new List<byte>();
        var next = new byte[1];
        while (await stream.ReadAsync(next, Token).AsTask().WaitAsync(TimeSpan.FromSeconds(60), Token) == 1 && next[0] != '\n')
        {
            line.Add(next[0]);
        }

        return Encoding.UTF8.GetString([.. line]).TrimEnd('\r');
    }

    /// <summary>Starts the echo and reads to the end of its greeting, whatever an environment says before.</summary>
    private async Task<ISandboxProcess> StartEchoAsync()
    {
        var nonce = Guid.NewGuid().ToString("N");
        var process = await CreateSandbox().StartAsync(new SandboxStartRequest { WorkerSource = EchoWorker, Nonce = nonce }, Token);
        while (!(await ReadLineAsync(process.Output)).EndsWith(nonce, StringComparison.Ordinal))
        {
            Assert.False(process.Exited.IsCompleted, "the worker ended before it spoke");
        }

        return process;
    }
}
