using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using DeepRecall.Request;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxing;
using DeepRecall.Trajectory;

namespace DeepRecall.Sandboxes.Tests.Local;

/// <summary>What the options of the confinement limit and allow.</summary>
public sealed class LimitTests : IDisposable
{
    private readonly DirectoryInfo _root = Directory.CreateTempSubdirectory("deeprecall-test-");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _root.Delete(recursive: true);

    [Fact]
    public async Task Memory_IsCountedFromWhatTheContextTakes()
    {
        // 160 MB in Python, which takes four bytes for each letter when there is one such as this.
        var context = ContextContent.FromText("𝄞" + new string('x', 40_000_000));
        await using var repl = await StartAsync(options => options.MemoryLimit = 64 << 20, context);
        Assert.Equal("40000001 1\n", await repl.PrintAsync("block = bytearray(40 << 20)\nprint(len(context), context.count('𝄞'))"));
        var result = await repl.RunAsync("more = bytearray(64 << 20)");
        Assert.Equal((CellStatus.Error, "MemoryError"), (result.Status, result.ErrorType));
        Assert.Equal("41943040\n", await repl.PrintAsync("print(len(block))"));
    }

    [Fact]
    public async Task ContextThatGrowsWhenItIsParsed_IsLoadedWhateverTheLimitIs()
    {
        var json = $"[{string.Join(',', Enumerable.Range(0, 400_000).Select(number => $"{{\"n\":{number}}}"))}]";
        await using var repl = await StartAsync(options => options.MemoryLimit = 16 << 20, ContextContent.FromJson(JsonDocument.Parse(json).RootElement));
        Assert.Equal("400000 399999\n", await repl.PrintAsync("print(len(context), context[-1]['n'])"));
    }

    [Fact]
    public async Task ValueThatComesLater_GetsRoom_AndCodeDoesNot()
    {
        const string Worker = """
            import sys
            def main(nonce):
                for line in sys.stdin:
                    if line.startswith("take"):
                        try:
                            print(len(bytearray(int(line[5:]))), flush=True)
                        except MemoryError:
                            print("MemoryError", flush=True)
                    else:
                        with open(line.strip(), encoding="utf-8") as file:
                            print(len(file.read()), flush=True)
            """;
        var sandbox = Sandbox(options => options.MemoryLimit = 16 << 20);
        await using var process = await sandbox.StartAsync(new SandboxStartRequest { WorkerSource = Worker, Nonce = "n" }, Token);
        using var reader = new StreamReader(process.Output, Encoding.UTF8, leaveOpen: true);
        await process.SealAsync(Token);
        Assert.Equal("MemoryError", await AskAsync(process, reader, $"take {32 << 20}"));
        var path = await process.UploadAsync("later", async (stream, token) => await stream.WriteAsync(Encoding.UTF8.GetBytes(new string('y', 30_000_000)), token), Token);
        Assert.Equal("30000000", await AskAsync(process, reader, path));
        await process.SealAsync(Token);
        Assert.Equal("MemoryError", await AskAsync(process, reader, $"take {64 << 20}"));
        Assert.Equal($"{4 << 20}", await AskAsync(process, reader, $"take {4 << 20}"));
    }

    [Fact]
    public async Task MemoryThatCodeTook_DoesNotWidenItsLimit()
    {
        var settings = TestRepl.Settings;
        await using var repl = await StartAsync(options => options.MemoryLimit = 64 << 20);
        await repl.PrintAsync("kept = [bytearray(40 << 20)]");
        for (var request = 0; request < 3; request++)
        {
            Assert.Null(await repl.Session.BeginAsync(settings, [], makeCurrent: false, TestRepl.Echo, Token));
            await repl.Session.SetVariableAsync($"history_{request}", "[1, 2, 3]", Token);
            var result = await repl.RunAsync("kept.append(bytearray(40 << 20))");
            Assert.Equal((CellStatus.Error, "MemoryError"), (result.Status, result.ErrorType));
        }

        Assert.Equal("1 [1, 2, 3]\n", await repl.PrintAsync("print(len(kept), history_2)"));
    }

    [Fact]
    public async Task OpenFiles_AreLimited()
    {
        await using var repl = await StartAsync(options => options.OpenFileLimit = 40);
        var result = await repl.RunAsync("files = []\nwhile True:\n    files.append(open('/dev/null'))");
        Assert.Equal((CellStatus.Error, "OSError"), (result.Status, result.ErrorType));
        Assert.Contains("Too many open files", result.Error, StringComparison.Ordinal);
        Assert.InRange((await repl.ValueAsync("len(files)")).GetInt32(), 20, 40);
    }

    [Fact]
    public async Task Threads_AreLimited()
    {
        await using var repl = await StartAsync(options => options.ThreadLimit = 16);
        Assert.Equal("10\n", await repl.PrintAsync("from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(10) as pool:\n    print(len(list(pool.map(llm_query, 'abcdefghij'))))"));
        var result = await repl.RunAsync("import threading\nheld = threading.Event()\nfor _ in range(20):\n    threading.Thread(target=held.wait, daemon=True).start()\nheld.wait(60)");
        Assert.Equal(CellStatus.Died, result.Status);
        Assert.Contains("threads, and 16 are allowed (LocalSandboxOptions.ThreadLimit)", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ProcessesThatAreAllowed_CountWithTheThreads()
    {
        await using var repl = await StartAsync(options => (options.ThreadLimit, options.AllowSubprocesses) = (16, true));
        var result = await repl.RunAsync("import os, time\nfor _ in range(20):\n    if os.fork() == 0:\n        time.sleep(60)\n        os._exit(0)\ntime.sleep(60)");
        Assert.Equal(CellStatus.Died, result.Status);
        Assert.Contains("LocalSandboxOptions.ThreadLimit", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ProcessesThatAreAllowed_AreConfinedAsTheCodeIs()
    {
        var secret = Path.Combine(_root.FullName, "secret.txt");
        await File.WriteAllTextAsync(secret, "the secret", Token);
        await using var repl = await StartAsync(options => options.AllowSubprocesses = true);
        Assert.Equal("a child\n", await repl.PrintAsync("import subprocess, sys\nprint(subprocess.run(['echo', 'a child'], capture_output=True, text=True).stdout, end='')"));
        var output = await repl.PrintAsync($"""
            print(subprocess.run(["cat", "{secret}"], capture_output=True, text=True))
            print(subprocess.run(["sh", "-c", "echo x > {secret}; kill -URG {Environment.ProcessId}; cat /proc/{Environment.ProcessId}/environ"], capture_output=True, text=True))
            print(subprocess.run([sys.executable, "-c", "import socket; socket.socket()"], capture_output=True, text=True))
            """);
        Assert.DoesNotContain("the secret", output, StringComparison.Ordinal);
        Assert.DoesNotContain("returncode=0", output, StringComparison.Ordinal);
        Assert.Contains("cannot create", output, StringComparison.Ordinal);
        Assert.Contains("PermissionError", output, StringComparison.Ordinal);
        Assert.Equal("the secret", await File.ReadAllTextAsync(secret, Token));
    }

    [Fact]
    public async Task Network_IsThereWhenItIsAllowed_AndOtherSocketsAreNot()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var accepted = listener.AcceptTcpClientAsync(Token);
        await using var repl = await StartAsync(options => options.AllowNetwork = true);
        await repl.PrintAsync($"import socket\nconnection = socket.create_connection(('127.0.0.1', {((IPEndPoint)listener.LocalEndpoint).Port}))\nconnection.sendall(b'hello')");
        using var client = await accepted;
        var received = new byte[5];
        await client.GetStream().ReadExactlyAsync(received, Token);
        Assert.Equal("hello"u8.ToArray(), received);
        Assert.Equal("localhost\n", await repl.PrintAsync("print(socket.getfqdn('localhost').split('.')[0])"));
        var result = await repl.RunAsync("socket.socket(socket.AF_UNIX)");
        Assert.Equal("PermissionError", result.ErrorType);
    }

    [Fact]
    public async Task ReadablePaths_MayBeReadAndNothingElseOfThem()
    {
        var data = _root.CreateSubdirectory("data");
        var file = Path.Combine(data.FullName, "table.csv");
        await File.WriteAllTextAsync(file, "a,b\n", Token);
        await using var repl = await StartAsync(options => options.ReadablePaths.Add(data.FullName));
        Assert.Equal("a,b ['table.csv']\n", await repl.PrintAsync($"import os\nprint(open('{file}').read().strip(), os.listdir('{data.FullName}'))"));
        Assert.Equal("PermissionError", (await repl.RunAsync($"open('{file}', 'a')")).ErrorType);
        Assert.Equal("PermissionError", (await repl.RunAsync($"os.listdir('{_root.FullName}')")).ErrorType);
    }

    [Fact]
    public async Task OrdinaryWork_GoesOnAsEver()
    {
        await using var repl = await StartAsync(_ => { });
        Assert.Equal("done\n", await repl.PrintAsync("""
            import asyncio, bz2, collections, csv, ctypes, datetime, decimal, hashlib, json, locale, logging, lzma, math, mimetypes, os, pathlib, platform
            import random, re, secrets, shutil, socket, sqlite3, ssl, statistics, tempfile, threading, unicodedata, uuid, zipfile, zlib, zoneinfo
            from concurrent.futures import ThreadPoolExecutor

            async def nap():
                await asyncio.sleep(0.01)
                return 5

            assert asyncio.run(nap()) == 5
            assert hashlib.sha256(b"x").hexdigest() and uuid.uuid4() and secrets.token_hex() and random.random() >= 0
            assert mimetypes.guess_type("a.txt")[0] == "text/plain" and platform.platform() and os.cpu_count()
            with sqlite3.connect("data.db") as database:
                database.execute("create table t (x)")
            with tempfile.TemporaryDirectory() as directory, tempfile.NamedTemporaryFile() as file:
                pathlib.Path(directory, "a.txt").write_text("text")
                os.rename(os.path.join(directory, "a.txt"), "a.txt")
                file.write(b"x")
            shutil.copyfile("a.txt", "b.txt")
            os.makedirs("deep/er")
            shutil.move("b.txt", "deep/er/b.txt")
            shutil.rmtree("deep")
            with zipfile.ZipFile("a.zip", "w") as archive:
                archive.write("a.txt")
            with zipfile.ZipFile("a.zip") as archive:
                archive.extractall("out")
            first, second = socket.socketpair()
            first.sendall(b"x")
            assert second.recv(1) == b"x"
            with ThreadPoolExecutor(32) as pool:
                assert sum(pool.map(len, ["x"] * 1000)) == 1000
            assert ctypes.CDLL(None).getpid() == os.getpid()
            print("done")
            """));
    }

    [Fact]
    public void Options_OutOfRange_AreRefusedByName()
    {
        AssertRefused(options => options.MemoryLimit = 1000, "MemoryLimit is 1,000; allowed is 16,777,216 or more");
        AssertRefused(options => options.ScratchLimit = -1, "ScratchLimit is -1; allowed is 1,048,576 or more");
        AssertRefused(options => options.OpenFileLimit = 3, "OpenFileLimit is 3; allowed is 32 or more");
        AssertRefused(options => options.ThreadLimit = 0, "ThreadLimit is 0; allowed is 8 or more");
        AssertRefused(options => options.Isolation = (LocalIsolation)7, "Isolation is 7; allowed is Preferred, Required or None");
        AssertRefused(options => options.ReadablePaths.Add("relative"), "ReadablePaths is 'relative'; allowed is the full path");
        AssertRefused(options => options.ReadablePaths.Add("/no/such/path"), "ReadablePaths is '/no/such/path'; allowed is the full path");
    }

    private static void AssertRefused(Action<LocalSandboxOptions> set, string message)
    {
        var options = new LocalSandboxOptions();
        set(options);
        Assert.Contains($"LocalSandboxOptions.{message}", Assert.Throws<ArgumentException>(() => new LocalSandbox(options)).Message, StringComparison.Ordinal);
    }

    private static async Task<string?> AskAsync(ISandboxProcess process, StreamReader reader, string line)
    {
        await process.Input.WriteAsync(Encoding.UTF8.GetBytes(line + "\n"), Token);
        await process.Input.FlushAsync(Token);
        return await reader.ReadLineAsync(Token).AsTask().WaitAsync(TimeSpan.FromSeconds(30), Token);
    }

    private static Task<TestRepl> StartAsync(Action<LocalSandboxOptions> set, params Microsoft.Extensions.AI.AIContent[] contexts) =>
        TestRepl.StartAsync(Sandbox(set), contexts);

    private static LocalSandbox Sandbox(Action<LocalSandboxOptions> set)
    {
        var options = new LocalSandboxOptions { Isolation = LocalIsolation.Required };
        set(options);
        return new LocalSandbox(options);
    }
}
