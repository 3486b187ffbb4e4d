using System.Text.Json.Serialization;

namespace Quench.Vault;

/// <summary>What a session says about the recovery point it is about to commit.</summary>
public sealed record PointDraft
{
    /// <summary>The machine whose volumes these are.</summary>
    public required string Host { get; init; }

    /// <summary>The moment the volumes are of.</summary>
    public required DateTimeOffset Instant { get; init; }

    /// <summary>The volumes, each with its image's root.</summary>
    public required IReadOnlyList<VolumeRecord> Volumes { get; init; }

    /// <summary>Words of the user's to find it by.</summary>
    public IReadOnlyList<string> Tags { get; init; } = [];

    /// <summary>Whatever else belongs to the point: documents of writers, versions, warnings.</summary>
    public IReadOnlyDictionary<string, string> Notes { get; init; } = new Dictionary<string, string>();

    /// <summary>How applications were held; null when none were asked.</summary>
    public CoordinationRecord? Coordination { get; init; }
}

/// <summary>A committed recovery point: the volumes of one host at one moment. It depends on no other point. (docs/vault-format.md §9)</summary>
public sealed record RecoveryPoint
{
    /// <summary>Its id, random.</summary>
    public required Guid Id { get; init; }

    /// <summary>The session that made it.</summary>
    public required Guid SessionId { get; init; }

    /// <summary>The machine whose volumes these are.</summary>
    public required string Host { get; init; }

    /// <summary>The moment the volumes are of.</summary>
    public required DateTimeOffset Instant { get; init; }

    /// <summary>When the manifest was written, by the writer's clock.</summary>
    public required DateTimeOffset Written { get; init; }

    /// <summary>The volumes. Empty when <see cref="Damage"/> is set.</summary>
    public required IReadOnlyList<VolumeRecord> Volumes { get; init; }

    /// <summary>Words of the user's to find it by.</summary>
    public IReadOnlyList<string> Tags { get; init; } = [];

    /// <summary>Whatever else belongs to the point.</summary>
    public IReadOnlyDictionary<string, string> Notes { get; init; } = new Dictionary<string, string>();

    /// <summary>How applications were held; null when none were asked, and in points of programs that could not.</summary>
    public CoordinationRecord? Coordination { get; init; }

    /// <summary>The committed points that this session saw and no other point it saw names: a missing one is an alarm.</summary>
    public IReadOnlyList<Guid> Previous { get; init; } = [];

    /// <summary>The garbage collection that the session had seen; 0 when there had been none.</summary>
    public long Generation { get; init; }

    /// <summary>Null for a sound point; otherwise what is wrong with its manifest, and then only the two ids can be relied on.</summary>
    [JsonIgnore]
    public string? Damage { get; init; }

    /// <summary>The id as people see it: its first eight hexadecimal digits.</summary>
    [JsonIgnore]
    public string ShortId => Id.ToString("N")[..8];
}
