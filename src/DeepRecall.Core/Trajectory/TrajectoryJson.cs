using System.Text.Json;
using System.Text.Json.Serialization;

namespace DeepRecall.Trajectory;

// The web defaults are those of Microsoft.Extensions.AI, whose caches write the trajectory that this reads.
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, MaxDepth = 256)]
[JsonSerializable(typeof(RlmTrajectory))]
internal sealed partial class TrajectoryJson : JsonSerializerContext;
