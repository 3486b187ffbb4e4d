using System.Text.Json.Serialization;
using Quench.Blocks;
using Quench.Snapshots.Store;
using Quench.Snapshots.Tracking;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>What a client asks the worker: one JSON object a line. A snapshot lives as long as the connection that prepared it.</summary>
internal sealed record ControlRequest
{
    public required string Op { get; init; }

    public long MemoryBytes { get; init; }

    public long CapBytes { get; init; }

    public string? SpillFolder { get; init; }

    public double LimitMilliseconds { get; init; }

    /// <summary>How long a writer may be held when the diff area is full; 0: not at all, the snapshot breaks.</summary>
    public double HoldMilliseconds { get; init; }

    /// <summary>With "quiet": how long no write may have come.</summary>
    public double PeriodMilliseconds { get; init; }

    public int Limit { get; init; }

    public Guid Vault { get; init; }

    public Guid Point { get; init; }

    /// <summary>A file in the run folder with the point's used blocks.</summary>
    public string? Path { get; init; }

    /// <summary>With the operations about persistent snapshots.</summary>
    public StoreRequest? Store { get; init; }
}

/// <summary>What the worker answers: one JSON object a line.</summary>
internal sealed record ControlReply
{
    /// <summary>Null when the request was done; otherwise the failure's code.</summary>
    public string? Code { get; init; }

    public string? Message { get; init; }

    public string? Next { get; init; }

    public string? Effect { get; init; }

    public int ExitCode { get; init; }

    /// <summary>Throws the worker's failure, if that is what it answered.</summary>
    public ControlReply Demand() => Code is null
        ? this
        : throw new QuenchException(Code, Message ?? "the worker failed", Next) { Effect = Effect, ExitCode = ExitCode == 0 ? 1 : ExitCode };

    /// <summary>The snapshot's file.</summary>
    public string? Path { get; init; }

    /// <summary>How long the gate was closed at the instant.</summary>
    public double GateMilliseconds { get; init; }

    public long UsedBytes { get; init; }

    public long CapBytes { get; init; }

    public long PeakBytes { get; init; }

    public bool IsNearlyFull { get; init; }

    public string? Broken { get; init; }

    /// <summary>What the snapshot has cost so far; with "status" and "end".</summary>
    public SnapshotCosts? Costs { get; init; }

    /// <summary>How many writes the volume has announced: now, or at the instant.</summary>
    public long WriteCount { get; init; }

    /// <summary>How long it has been quiet.</summary>
    public double QuietMilliseconds { get; init; }

    /// <summary>Offset and length, in turn.</summary>
    public long[]? Extents { get; init; }

    /// <summary>Why something, or everything, must be read again; with "tracking", why it is off or has forgotten points.</summary>
    public string? Doubt { get; init; }

    public bool IsTracking { get; init; }

    public Guid? Point { get; init; }

    public long? ChangedBytes { get; init; }

    public long DoubtfulBytes { get; init; }

    public StoreReply? Store { get; init; }

    public SupervisionReply? Supervision { get; init; }
}

/// <summary>How a volume's supervisor is doing.</summary>
internal sealed record SupervisionReply
{
    public bool IsSupervised { get; init; }

    /// <summary>The process of the worker that answers.</summary>
    public int Worker { get; init; }

    public bool HasStandby { get; init; }

    public int Restarts { get; init; }

    public int Hangs { get; init; }

    public int Upgrades { get; init; }

    public string? LastChange { get; init; }

    public DateTimeOffset? LastChangeTime { get; init; }

    /// <summary>Why the volume is in pass-through; null when it is not.</summary>
    public string? PassThrough { get; init; }

    public DateTimeOffset? PassThroughSince { get; init; }

    public DateTimeOffset? NextTry { get; init; }
}

/// <summary>The state file of an attachment.</summary>
internal sealed record AttachmentRecord(string Name, string Origin, string Device, long Length, int ProcessId);

/// <summary>Serialisers compiled in, so that the first message costs no reflection while a file system is frozen.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault)]
[JsonSerializable(typeof(ControlRequest))]
[JsonSerializable(typeof(ControlReply))]
[JsonSerializable(typeof(AttachmentRecord))]
[JsonSerializable(typeof(OriginSeal))]
internal sealed partial class ControlJson : JsonSerializerContext;
