using System.Text.Json.Serialization;

namespace Quench.Snapshots.Store.Clones;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip)]
[JsonSerializable(typeof(CloneJob))]
[JsonSerializable(typeof(CloneOutcome))]
internal sealed partial class CloneJson : JsonSerializerContext;
