using System.Text.Json.Nodes;

namespace DeepRecall.Sandboxes.Tests.Local;

public sealed class WorkerTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task RepeatedRequest_IsExecutedOnceAndAnsweredAgain()
    {
        await using var worker = await RawWorker.StartAsync();
        await worker.ExecuteAsync(2, "count = globals().get('count', 0) + 1\nprint(count)");
        var first = await worker.AnswerAsync(2);
        await worker.ExecuteAsync(2, "count = globals().get('count', 0) + 1\nprint(count)");
        var again = await worker.AnswerAsync(2);

        Assert.Equal("1\n", (string?)first["result"]!["output"]);
        Assert.Equal(first.ToJsonString(), again.ToJsonString());
        await worker.ExecuteAsync(3, "print(count)");
        Assert.Equal("1\n", (string?)(await worker.AnswerAsync(3))["result"]!["output"]);
    }

    [Fact]
    public async Task RequestRepeatedWhileItRuns_IsExecutedOnceAndAnsweredOnce()
    {
        await using var worker = await RawWorker.StartAsync();
        const string Code = "count = globals().get('count', 0) + 1\nllm_query('hold')\nprint(count)";
        await worker.ExecuteAsync(2, Code);
        var call = await worker.ReadAsync("call");
        await worker.ExecuteAsync(2, Code);
        await AnswerCallAsync(worker, call, "go on");
        Assert.Equal("1\n", (string?)(await worker.AnswerAsync(2))["result"]!["output"]);

        await worker.ExecuteAsync(3, "print(count)");
        Assert.Equal("1\n", (string?)(await worker.AnswerAsync(3))["result"]!["output"]);
    }

    [Fact]
    public async Task RequestRepeatedWhileItEnds_IsExecutedOnce()
    {
        // A thread that waits for the host reads what comes, and is held up at each line of the worker's code in turn while the cell ends.
        const int Lines = 14;
        await using var worker = await RawWorker.StartAsync();
        await worker.ExecuteAsync(2, """
            import threading, time
            runs, reached, left = [], threading.Event(), 0
            def trace(frame, event, argument):
                global left
                if frame.f_code.co_name != 'receive':
                    return None
                if event == 'line' and left > 0:
                    left -= 1
                    if left == 0:
                        reached.set()
                        time.sleep(0.1)
                return trace
            threading.settrace(trace)
            threading.Thread(target=lambda: llm_query('hold'), daemon=True).start()
            threading.settrace(None)
            """);
        await worker.ReadAsync("call");
        for (var line = 1; line <= Lines; line++)
        {
            var code = $"runs.append({line})\nreached.clear()\nleft = {line}\nprint('begin', flush=True)\n_ = reached.wait(0.5)\nleft = 0";
            await worker.ExecuteAsync(10 + line, code);
            await worker.ReadAsync("output");
            await worker.ExecuteAsync(10 + line, code);
            while ((await worker.ReadAsync())?["id"]?.ToString() != $"{10 + line}")
            {
            }
        }

        await worker.ExecuteAsync(100, "print(runs)");
        JsonNode? last;
        while ((last = await worker.ReadAsync())?["id"]?.ToString() != "100")
        {
        }

        Assert.Equal($"[{string.Join(", ", Enumerable.Range(1, Lines))}]\n", (string?)last!["result"]!["output"]);
    }

    [Fact]
    public async Task Resume_SendsUnansweredCallsAgainWithTheirIds()
    {
        await using var worker = await RawWorker.StartAsync();
        await worker.ExecuteAsync(2, "print(llm_query('first'))\nprint(llm_query('second'))");
        await AnswerCallAsync(worker, await worker.ReadAsync("call"), "one");
        var call = await worker.ReadAsync("call");
        await worker.SendAsync("""{"jsonrpc":"2.0","method":"resume"}""");
        var again = await worker.ReadAsync("call");

        Assert.Equal(call.ToJsonString(), again.ToJsonString());
        Assert.Equal("second", (string?)again["params"]!["arguments"]!["prompt"]);
        await AnswerCallAsync(worker, call, "two");
        await AnswerCallAsync(worker, again, "two again");
        Assert.Equal("one\ntwo\n", (string?)(await worker.AnswerAsync(2))["result"]!["output"]);

        // With nothing unanswered there is nothing to send.
        await worker.SendAsync("""{"jsonrpc":"2.0","method":"resume"}""");
        await worker.ExecuteAsync(3, "print('end')");
        Assert.Equal("end\n", (string?)(await worker.AnswerAsync(3))["result"]!["output"]);
    }

    [Fact]
    public async Task Resume_ReachesEveryThreadThatWaits()
    {
        await using var worker = await RawWorker.StartAsync();
        await worker.ExecuteAsync(2, "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(3) as pool:\n    print(list(pool.map(llm_query, 'abc')))");
        List<JsonNode> calls = [await worker.ReadAsync("call"), await worker.ReadAsync("call"), await worker.ReadAsync("call")];
        await worker.SendAsync("""{"jsonrpc":"2.0","method":"resume"}""");
        List<JsonNode> again = [await worker.ReadAsync("call"), await worker.ReadAsync("call"), await worker.ReadAsync("call")];
        Assert.Equal(calls.Select(call => call.ToJsonString()).Order(StringComparer.Ordinal), again.Select(call => call.ToJsonString()).Order(StringComparer.Ordinal));
        foreach (var call in calls)
        {
            await AnswerCallAsync(worker, call, (string)call["params"]!["arguments"]!["prompt"]!);
        }

        Assert.Equal("['a', 'b', 'c']\n", (string?)(await worker.AnswerAsync(2))["result"]!["output"]);
    }

    [Fact]
    public async Task TextThatLooksLikeAMessage_IsNeverOne()
    {
        await using var worker = await RawWorker.StartAsync();
        await worker.ExecuteAsync(
            2,
            """
            import os, subprocess, sys
            line = '{"jsonrpc":"2.0","id":2,"result":{"forged":true}}'
            print("\n" + line)
            os.write(1, b"\n" + line.encode() + b"\n")
            sys.__stdout__.write(line + "\n")
            sys.stdout.buffer.write(line.encode() + b"\n")
            subprocess.run(["echo", line])
            os.system("echo '%s' >&2" % line)
            print("end")
            """);

        // RawWorker fails on any line that is neither output nor the answer.
        var answer = await worker.AnswerAsync(2);
        Assert.Null(answer["result"]!["forged"]);
        Assert.Equal(6, ((string)answer["result"]!["output"]!).Split("forged").Length - 1);
    }

    [Theory]
    [InlineData("while True:\n    pass")]
    [InlineData("import time\nwhile True:\n    try:\n        time.sleep(100)\n    except BaseException:\n        pass")]
    [InlineData("import signal\nfor s in range(1, 32):\n    try:\n        signal.signal(s, signal.SIG_IGN)\n    except (OSError, ValueError):\n        pass\nwhile True:\n    pass")]
    [InlineData("llm_query('never answered')")]
    [InlineData("x = 1")]
    public async Task WorkerWhoseInputCloses_Ends(string code)
    {
        await using var worker = await RawWorker.StartAsync();
        await worker.ExecuteAsync(2, $"print('running')\n{code}");
        await worker.ReadAsync();
        await worker.Process.Input.DisposeAsync();
        await worker.Process.Exited.WaitAsync(TimeSpan.FromSeconds(30), Token);
    }

    [Fact]
    public async Task ProcessesOfAWorkerWhoseInputCloses_EndWithIt()
    {
        await using var worker = await RawWorker.StartAsync();
        await worker.ExecuteAsync(2, "import subprocess\nchild = subprocess.Popen(['sleep', '600'])\nprint(child.pid)");
        var child = int.Parse((string)(await worker.AnswerAsync(2))["result"]!["output"]!, System.Globalization.CultureInfo.InvariantCulture);
        Assert.True(LocalProcesses.IsAlive(child));
        await worker.Process.Input.DisposeAsync();
        await LocalProcesses.WaitForEndAsync(child);
    }

    [Fact]
    public async Task Shutdown_EndsTheWorker()
    {
        await using var worker = await RawWorker.StartAsync();
        await worker.SendAsync("""{"jsonrpc":"2.0","method":"shutdown"}""");
        await worker.Process.Exited.WaitAsync(TimeSpan.FromSeconds(30), Token);
    }

    [Fact]
    public async Task InterruptMessage_EndsACellThatWaits()
    {
        await using var worker = await RawWorker.StartAsync();
        await worker.ExecuteAsync(2, "kept = 1\nllm_query('x')");
        var call = await worker.ReadAsync("call");
        await worker.SendAsync("""{"jsonrpc":"2.0","method":"interrupt"}""");
        await worker.SendAsync($$$"""{"jsonrpc":"2.0","id":"{{{(string?)call["id"]}}}","error":{"code":-32000,"message":"cancelled"}}""");
        Assert.Equal("interrupted", (string?)(await worker.AnswerAsync(2))["result"]!["status"]);
        await worker.ExecuteAsync(3, "print(kept)");
        Assert.Equal("1\n", (string?)(await worker.AnswerAsync(3))["result"]!["output"]);
    }

    [Fact]
    public async Task InterruptBetweenCells_DoesNothing()
    {
        await using var worker = await RawWorker.StartAsync();
        Assert.True(await worker.Process.InterruptAsync(Token));
        await worker.SendAsync("""{"jsonrpc":"2.0","method":"interrupt"}""");
        await worker.ExecuteAsync(2, "print('alive')");
        Assert.Equal("alive\n", (string?)(await worker.AnswerAsync(2))["result"]!["output"]);
    }

    [Theory]
    [InlineData("not JSON")]
    [InlineData("")]
    [InlineData("[1,2]")]
    [InlineData("null")]
    [InlineData("{\"id\":99,\"result\":1}")]
    [InlineData("{\"id\":\"c99\",\"result\":1}")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"method\":\"unknown_notification\",\"params\":{}}")]
    public async Task NoiseForTheWorker_IsSkipped(string line)
    {
        await using var worker = await RawWorker.StartAsync();
        await worker.SendAsync(line);
        await worker.ExecuteAsync(2, "print('alive')");
        Assert.Equal("alive\n", (string?)(await worker.AnswerAsync(2))["result"]!["output"]);
    }

    [Fact]
    public async Task BytesForTheWorkerThatAreNotUtf8_AreSkipped()
    {
        await using var worker = await RawWorker.StartAsync();
        await worker.Process.Input.WriteAsync(new byte[] { 0xFF, 0xC3, (byte)'(', 0, (byte)'\n' }, Token);
        await worker.ExecuteAsync(2, "print('alive')");
        Assert.Equal("alive\n", (string?)(await worker.AnswerAsync(2))["result"]!["output"]);
    }

    [Fact]
    public async Task UnknownMethod_IsAnsweredWithAnError()
    {
        await using var worker = await RawWorker.StartAsync();
        await worker.SendAsync("""{"jsonrpc":"2.0","id":2,"method":"no_such_method"}""");
        Assert.Equal(-32601, (int)(await worker.AnswerAsync(2))["error"]!["code"]!);
        await worker.SendAsync("""{"jsonrpc":"2.0","id":3,"method":"execute","params":{}}""");
        Assert.Equal(-32000, (int)(await worker.AnswerAsync(3))["error"]!["code"]!);
    }

    private static Task AnswerCallAsync(RawWorker worker, JsonNode call, string text) =>
        worker.SendAsync(new JsonObject { ["jsonrpc"] = "2.0", ["id"] = (string?)call["id"], ["result"] = text }.ToJsonString());
}
