using DeepRecall.Benchmarks;
using DeepRecall.Sandboxing;

// Takes many minutes, so that it is run by its name alone.
const string Soak = "soak_10000";

// dotnet run -c Release --project tests/DeepRecall.Benchmarks -- <name|all> [--json]
Dictionary<string, Func<Task<IReadOnlyList<Figure>>>> benches = new(StringComparer.Ordinal)
{
    ["turn"] = TurnBench.TurnAsync,
    ["llm_query"] = TurnBench.LlmQueryAsync,
    ["batched_16"] = TurnBench.BatchedAsync,
    ["completion_cold"] = CompletionBench.ColdAsync,
    ["docker_turn"] = DockerBench.RunAsync,
    ["completion_warm"] = CompletionBench.WarmAsync,
    ["confinement"] = ConfinementBench.RunAsync,
    ["context_100mb"] = ContextBench.RunAsync,
    [Soak] = SoakBench.RunAsync,
    ["e2b_turn"] = CloudBench.E2BAsync,
    ["prime_turn"] = CloudBench.PrimeAsync,
    ["modal_turn"] = CloudBench.ModalAsync,
    ["daytona_turn"] = CloudBench.DaytonaAsync,
};

var asJson = args.Contains("--json");
var names = args.Where(argument => argument != "--json").ToArray();
var unknown = names.Where(name => name != "all" && !benches.ContainsKey(name)).ToArray();
if (names.Length == 0 || unknown.Length > 0)
{
    Console.Error.WriteLine($"usage: <name|all> [--json]; the names are {string.Join(", ", benches.Keys)}");
    return 2;
}

if (!asJson)
{
    Console.WriteLine($"{"figure",-24} {"median",12} {"p99",12} {"unit",4} {"n",8}");
}

var isAll = names.Contains("all");
foreach (var name in isAll ? [.. benches.Keys.Where(name => name != Soak)] : names)
{
    try
    {
        foreach (var figure in await benches[name]())
        {
            Console.WriteLine(asJson ? figure.ToJson() : figure.ToString());
        }
    }
    catch (SandboxException error) when (isAll)
    {
        Console.Error.WriteLine($"{name} is left out: {error.Message}");
    }
}

return 0;
