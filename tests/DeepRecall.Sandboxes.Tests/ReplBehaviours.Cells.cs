using DeepRecall.Request;
using DeepRecall.Trajectory;

namespace DeepRecall.Sandboxes.Tests;

// What a cell does to the namespace, and what it shows for an error.
public abstract partial class ReplBehaviours
{
    [Fact]
    public async Task Variables_Functions_AndImports_PersistFromCellToCell()
    {
        await using var repl = await StartAsync();
        await repl.PrintAsync("import math\nfrom collections import Counter as C\nx = 21\ndef double(n):\n    return 2 * n\nsquares = [n * n for n in range(5)]");
        Assert.Equal("42 4 2 [0, 1, 4, 9, 16]\n", await repl.PrintAsync("print(double(x), math.floor(4.5), C('aab')['a'], squares)"));
    }

    [Fact]
    public async Task Classes_Dataclasses_Closures_AndGenerators_PersistFromCellToCell()
    {
        await using var repl = await StartAsync();
        await repl.PrintAsync(
            """
            from dataclasses import dataclass, asdict
            class Base:
                kind = "base"
                def hello(self):
                    return f"{self.kind} {type(self).__name__}"
            class Derived(Base):
                kind = "derived"
            class Trouble(Exception):
                pass
            @dataclass(order=True)
            class Point:
                x: int
                y: int = 0
            def counter():
                count = 0
                def step():
                    nonlocal count
                    count += 1
                    return count
                return step
            step = counter()
            step()
            def numbers():
                yield from range(10)
            stream = numbers()
            next(stream)
            """);
        Assert.Equal(
            "derived Derived\n{'x': 1, 'y': 0}\n2\n1\ncaught\n",
            await repl.PrintAsync(
                """
                print(Derived().hello())
                print(asdict(min(Point(2), Point(1))))
                print(step())
                print(next(stream))
                try:
                    raise Trouble("x")
                except Trouble:
                    print("caught")
                """));
    }

    [Fact]
    public async Task ValuesThatCannotBePickled_Persist()
    {
        await using var repl = await StartAsync();
        await repl.PrintAsync("import threading\nf = lambda: 'called'\nlock = threading.Lock()\nfile = open('data.txt', 'w+')\nprint('x', file=file)");
        Assert.Equal("called False 0\n", await repl.PrintAsync("print(f(), lock.locked(), file.seek(0))"));
    }

    [Fact]
    public async Task ClassesOfTheRepl_CanBePickled()
    {
        await using var repl = await StartAsync();
        await repl.PrintAsync("class Box:\n    pass");
        Assert.Equal("Box __main__\n", await repl.PrintAsync("import pickle\nbox = pickle.loads(pickle.dumps(Box()))\nprint(type(box).__name__, type(box).__module__)"));
    }

    [Fact]
    public async Task MainGuard_Runs()
    {
        await using var repl = await StartAsync();
        Assert.Equal("main\n", await repl.PrintAsync("def main():\n    print('main')\n\nif __name__ == \"__main__\":\n    main()"));
    }

    [Fact]
    public async Task Functions_SeeTheGlobalsOfLaterCells()
    {
        await using var repl = await StartAsync();
        await repl.PrintAsync("def show():\n    return value\nvalue = 1");
        Assert.Equal("1\n", await repl.PrintAsync("print(show())"));
        Assert.Equal("2\n", await repl.PrintAsync("value = 2\nprint(show())"));
        Assert.Equal("3 3\n", await repl.PrintAsync("def change():\n    global value\n    value = 3\nchange()\nprint(value, show())"));
    }

    [Fact]
    public async Task Comprehensions_SeeTheVariablesOfTheCell()
    {
        await using var repl = await StartAsync();
        Assert.Equal("[10, 20]\n", await repl.PrintAsync("factor = 10\nitems = [1, 2]\nprint([i * factor for i in items if i in items])"));
    }

    [Fact]
    public async Task BareLastExpression_IsEchoed()
    {
        await using var repl = await StartAsync();
        Assert.Equal("'text'\n", await repl.PrintAsync("1\nx = 'text'\nx"));
        Assert.Equal("'text'\n", await repl.PrintAsync("_"));
        Assert.Equal("", await repl.PrintAsync("None"));
        Assert.Equal("", await repl.PrintAsync("y = 5"));
        Assert.Equal("printed\n", await repl.PrintAsync("print('printed')"));
        Assert.Equal("[0, 1]\n", await repl.PrintAsync("list(range(2))  # a comment\n"));
    }

    [Fact]
    public async Task EchoOfAnEnormousText_ShowsItsTwoEnds()
    {
        await using var repl = await StartAsync();
        var result = await repl.RunAsync("'a' * 10_000_000 + 'z'");
        Assert.Equal(CellStatus.Ok, result.Status);
        Assert.StartsWith("'aaa", result.Output, StringComparison.Ordinal);
        Assert.EndsWith("aaz'\n", result.Output, StringComparison.Ordinal);
        Assert.InRange(result.Output.Length, 1_000, 50_000);
    }

    [Theory]
    [InlineData("")]
    [InlineData("\n\n")]
    [InlineData("# nothing but a comment")]
    [InlineData("pass")]
    public async Task CodeThatDoesNothing_RunsToItsEnd(string code)
    {
        await using var repl = await StartAsync();
        Assert.Equal("", await repl.PrintAsync(code));
    }

    [Fact]
    public async Task AssignmentsBeforeAnException_Stay()
    {
        await using var repl = await StartAsync();
        var result = await repl.RunAsync("before = 1\nprint('shown')\nboom = 1 / 0\nafter = 2");
        Assert.Equal((CellStatus.Error, "ZeroDivisionError", "shown\n"), (result.Status, result.ErrorType, result.Output));
        Assert.Contains("before", result.Variables);
        Assert.Equal("1 False\n", await repl.PrintAsync("print(before, 'after' in globals())"));
    }

    [Fact]
    public async Task Traceback_ShowsTheLinesOfTheCellsAndNoFrameOfTheWorker()
    {
        await using var repl = await StartAsync();
        await repl.PrintAsync("def inner(d):\n    return d['missing key']  # in the first cell");
        var result = await repl.RunAsync("x = 1\ninner({'a': x})  # in the second cell");

        Assert.Equal("KeyError", result.ErrorType);
        Assert.NotNull(result.Error);
        Assert.Contains("line 2", result.Error, StringComparison.Ordinal);
        Assert.Contains("inner({'a': x})  # in the second cell", result.Error, StringComparison.Ordinal);
        Assert.Contains("return d['missing key']  # in the first cell", result.Error, StringComparison.Ordinal);
        Assert.EndsWith("KeyError: 'missing key'", result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("worker", result.Error, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task TracebackOfAChainOfExceptions_ShowsAllOfThem()
    {
        await using var repl = await StartAsync();
        var result = await repl.RunAsync("try:\n    int('x')\nexcept ValueError as error:\n    raise RuntimeError('outer') from error");
        Assert.Equal("RuntimeError", result.ErrorType);
        Assert.Contains("invalid literal for int()", result.Error, StringComparison.Ordinal);
        Assert.Contains("direct cause", result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("worker", result.Error, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("FINAL_VAR('no_such_variable')", "NameError")]
    [InlineData("import sys\nsys.stdout.write(5)", "TypeError")]
    public async Task TracebackOfAFunctionOfTheHost_HasNoFrameOfTheWorker(string code, string type)
    {
        await using var repl = await StartAsync();
        var result = await repl.RunAsync(code);
        Assert.Equal(type, result.ErrorType);
        Assert.Contains("<cell 1>", result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("worker", result.Error, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task SyntaxError_NamesItsLine()
    {
        await using var repl = await StartAsync();
        var result = await repl.RunAsync("x = 1\ndef f(:\n    pass");
        Assert.Equal((CellStatus.Error, "SyntaxError"), (result.Status, result.ErrorType));
        Assert.Contains("line 2", result.Error, StringComparison.Ordinal);
        Assert.Contains("def f(:", result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("worker", result.Error, StringComparison.OrdinalIgnoreCase);
        Assert.Equal("False\n", await repl.PrintAsync("print('x' in globals())"));
    }

    [Theory]
    [InlineData("x = '\\x00'\ny = 1\n\0", "error")]
    [InlineData("x = \"\uD83D\uDE00\"\nprint(len(x), ascii(x))", "1 '\\U0001f600'\n")]
    public async Task CodeOfAnyCharacters_IsCompiledOrRefused(string code, string expected)
    {
        await using var repl = await StartAsync();
        var result = await repl.RunAsync(code);
        Assert.Equal(expected, result.Status == CellStatus.Ok ? result.Output : "error");
        Assert.NotEqual(CellStatus.Died, result.Status);
    }

    [Fact]
    public async Task ExceptionWhoseTextFails_IsReported()
    {
        await using var repl = await StartAsync();
        var result = await repl.RunAsync("class Bad(Exception):\n    def __str__(self):\n        raise ValueError('no text')\nraise Bad()");
        Assert.Equal((CellStatus.Error, "Bad"), (result.Status, result.ErrorType));
        Assert.Contains("Bad", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ReprThatFails_IsAnErrorOfTheCell()
    {
        await using var repl = await StartAsync();
        var result = await repl.RunAsync("class Bad:\n    def __repr__(self):\n        raise ValueError('no repr')\nbad = Bad()\nbad");
        Assert.Equal((CellStatus.Error, "ValueError"), (result.Status, result.ErrorType));
        Assert.DoesNotContain("worker", result.Error, StringComparison.OrdinalIgnoreCase);
        Assert.Equal("ok\n", await repl.PrintAsync("print('ok')"));
    }

    [Theory]
    [InlineData("def f():\n    f()\nf()", "RecursionError")]
    [InlineData("raise BaseException('bare')", "BaseException")]
    [InlineData("raise GeneratorExit", "GeneratorExit")]
    [InlineData("import sys\nsys.exit(3)", "SystemExit")]
    [InlineData("raise SystemExit", "SystemExit")]
    [InlineData("import asyncio\nraise asyncio.CancelledError()", "CancelledError")]
    public async Task ExceptionOfAnyKind_EndsTheCellAndKeepsTheVariables(string code, string type)
    {
        await using var repl = await StartAsync();
        await repl.PrintAsync("kept = 'kept'");
        var result = await repl.RunAsync(code);
        Assert.Equal((CellStatus.Error, type), (result.Status, result.ErrorType));
        Assert.InRange(result.Error!.Length, 1, 10_000);
        Assert.Equal("kept\n", await repl.PrintAsync("print(kept)"));
    }

    [Fact]
    public async Task KeyboardInterruptOfTheCode_EndsTheCellAndKeepsTheVariables()
    {
        await using var repl = await StartAsync();
        var result = await repl.RunAsync("kept = 'kept'\nraise KeyboardInterrupt");
        Assert.Equal((CellStatus.Interrupted, "KeyboardInterrupt"), (result.Status, result.Error));
        Assert.Equal("kept\n", await repl.PrintAsync("print(kept)"));
    }

    [Fact]
    public async Task AsyncCode_Runs()
    {
        await using var repl = await StartAsync();
        Assert.Equal("[1, 2]\n", await repl.PrintAsync("import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return x\nasync def both():\n    return await asyncio.gather(f(1), f(2))\nprint(asyncio.run(both()))"));
    }

    [Fact]
    public async Task Variables_AreThePublicNamesThatCellsMade()
    {
        await using var repl = await StartAsync(ContextContent.FromText("the context"));
        var result = await repl.RunAsync("import os\nfirst = 1\n_private = 2\ndef second():\n    pass\ncontext = 'overwritten'");
        Assert.Equal(["first", "second"], result.Variables);
        Assert.Equal(["second"], (await repl.RunAsync("del first")).Variables);
    }

    [Fact]
    public async Task ShowVars_ListsTheVariablesWithTheirTypes()
    {
        await using var repl = await StartAsync();
        Assert.Equal("(no variables yet)\n", await repl.PrintAsync("SHOW_VARS()"));
        await repl.PrintAsync("count = 1\nnames = ['a']\ndef f():\n    pass");
        Assert.Equal("count: int\nnames: list\nf: function\n", await repl.PrintAsync("SHOW_VARS()"));
        Assert.Equal("count: int\nnames: list\nf: function\n", await repl.PrintAsync("print(SHOW_VARS())"));
    }

    [Fact]
    public async Task TwoRepls_ShareNothing()
    {
        await using var first = await StartAsync();
        await using var second = await StartAsync();
        await first.PrintAsync("mine = 1\nopen('file.txt', 'w').close()");
        Assert.Equal("False False\n", await second.PrintAsync("import os\nprint('mine' in globals(), os.path.exists('file.txt'))"));
    }

    [Fact]
    public async Task ClearedNamespace_IsUsableInTheNextCell()
    {
        await using var repl = await StartAsync();
        await repl.RunAsync("globals().clear()");
        Assert.Equal("__main__ True\n", await repl.PrintAsync("class A:\n    pass\nprint(A.__module__, callable(llm_query))"));
    }

    [Fact]
    public async Task ManyCells_KeepTheirState()
    {
        await using var repl = await StartAsync();
        await repl.PrintAsync("total = 0");
        for (var cell = 1; cell <= 200; cell++)
        {
            Assert.Equal($"{cell}\n", await repl.PrintAsync("total += 1\nprint(total)"));
        }
    }

    [Fact]
    public async Task CellOfAMegabyte_Runs()
    {
        await using var repl = await StartAsync();
        var code = string.Concat(Enumerable.Range(0, 20_000).Select(line => $"value = {line}  # é and more of the line\n"));
        Assert.Equal("19999\n", await repl.PrintAsync($"{code}print(value)"));
    }

    [Fact]
    public async Task CodeWithOtherLineEndsAndNames_Runs()
    {
        await using var repl = await StartAsync();
        Assert.Equal("2 été\n", await repl.PrintAsync("x = 1\r\nif x:\r\n    x += 1\r\nnom_d_été = 'été'\r\nprint(x, nom_d_été)\r\n"));
    }
}
