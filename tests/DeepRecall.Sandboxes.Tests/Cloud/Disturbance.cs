using CsCheck;
using DeepRecall.Testing.Emulators.Connect;

namespace DeepRecall.Sandboxes.Tests.Cloud;

/// <summary>One thing that goes wrong with a connection, and how long after the one before it.</summary>
internal sealed record Disturbance(string Kind, int Bytes, int Wait)
{
    private static readonly string[] Kinds = ["drop", "cut", "input", "input-unavailable", "down"];

    /// <summary>Disturbances at random points of the streams.</summary>
    public static Gen<List<Disturbance>> Some { get; } = Gen.Select(
        Gen.Int[0, Kinds.Length - 1],
        Gen.Int[0, 3000],
        Gen.Int[0, 80],
        (kind, bytes, wait) => new Disturbance(Kinds[kind], bytes, wait)).List[1, 10];

    public static async Task ApplyAsync(ProcessFaults faults, List<Disturbance> disturbances)
    {
        foreach (var (kind, bytes, wait) in disturbances)
        {
            await Task.Delay(wait);
            switch (kind)
            {
                case "drop":
                    faults.DropStreams();
                    break;
                case "cut":
                    faults.CutStreamAfter(bytes);
                    break;
                case "input":
                    faults.FailInput(new InputFault(bytes / 20));
                    break;
                case "input-unavailable":
                    faults.FailInput(new InputFault(bytes / 20, "unavailable"));
                    break;
                case "down":
                    faults.IsDown = true;
                    await Task.Delay(bytes / 20);
                    faults.IsDown = false;
                    break;
            }
        }
    }
}
