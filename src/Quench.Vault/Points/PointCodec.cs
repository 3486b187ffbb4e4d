using System.Numerics;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Quench.Vault.Points;

/// <summary>Manifests as bytes: JSON with its properties always in the same order. (§9.1)</summary>
internal static class PointCodec
{
    private const long MaxVolume = 1L << 62;

    internal static byte[] Write(RecoveryPoint point) => JsonSerializer.SerializeToUtf8Bytes(point, VaultJson.Default.RecoveryPoint);

    /// <summary>Reads a manifest that has been authenticated.</summary>
    /// <returns>Null when it is not a manifest, or says what can't be.</returns>
    internal static RecoveryPoint? TryRead(ReadOnlySpan<byte> body)
    {
        try
        {
            RecoveryPoint? point = JsonSerializer.Deserialize(body, VaultJson.Default.RecoveryPoint);
            return point is not null && IsSound(point) ? point : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Makes a point of a draft.</summary>
    /// <exception cref="ArgumentException">The draft says what can't be.</exception>
    internal static RecoveryPoint Complete(
        PointDraft draft, Guid id, Guid sessionId, DateTimeOffset written, IReadOnlyList<Guid> previous, long generation)
    {
        RecoveryPoint point = new()
        {
            Id = id,
            SessionId = sessionId,
            Host = draft.Host,
            Instant = draft.Instant,
            Written = written,
            Volumes = draft.Volumes,
            Tags = draft.Tags,
            Notes = draft.Notes,
            Coordination = draft.Coordination,
            Previous = previous,
            Generation = generation,
        };
        return IsSound(point)
            ? point
            : throw new ArgumentException("each volume of a point has a name of its own, a length and a sector size", nameof(draft));
    }

    private static bool IsSound(RecoveryPoint point) =>
        point is { Host: not null, Volumes: not null, Tags: not null, Notes: not null, Previous: not null, Generation: >= 0 }
        && point.Volumes.All(IsSound)
        && point.Volumes.DistinctBy(volume => volume.Name).Count() == point.Volumes.Count;

    private static bool IsSound(VolumeRecord? volume) =>
        volume is { Name.Length: > 0, Source: not null, Length: >= 0 and <= MaxVolume, SectorSize: > 0 } && BitOperations.IsPow2(volume.SectorSize) && IsSound(volume.Disk) && IsSound(volume.Exclusions);

    private static bool IsSound(ExclusionRecord? left) => left is null
        || (left is { Files: >= 0, Bytes: >= 0, Rules: not null, Kept: not null } && left.Kept.All(sentence => sentence is not null)
            && left.Rules.All(rule => rule is { Pattern: not null, Origin: not null, Files: >= 0, Bytes: >= 0, Names: not null } && rule.Names.All(file => file is { Path: not null })));

    private static bool IsSound(DiskRecord? disk) => disk is null or { Scheme: not null, Id: not null, Partitions: not null, Gaps: not null, Remarks: not null }
        && (disk is null || (disk.Partitions.All(part => part is { Offset: >= 0, Length: >= 0, Type: not null }) && disk.Gaps.All(gap => gap is { Offset: >= 0, Length: >= 0 })));
}

/// <summary>What a session says of itself when it registers. (§10.1)</summary>
internal sealed record SessionRecord(Guid Id, string Host, DateTimeOffset Started, string Program, long Generation, uint Epoch, byte[] Key);

/// <summary>A tombstone. (§11.2)</summary>
internal sealed record ForgetRecord(Guid Point, DateTimeOffset Forgotten, string Reason);

/// <summary>The JSON of the vault, generated when it is compiled.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    Converters = [typeof(ChunkIdConverter), typeof(GuidConverter)])]
[JsonSerializable(typeof(RecoveryPoint))]
[JsonSerializable(typeof(SessionRecord))]
[JsonSerializable(typeof(ForgetRecord))]
[JsonSerializable(typeof(Upkeep.CheckRecord))]
internal sealed partial class VaultJson : JsonSerializerContext;

/// <summary>Chunk ids as 64 hexadecimal digits.</summary>
internal sealed class ChunkIdConverter : JsonConverter<ChunkId>
{
    /// <inheritdoc/>
    public override ChunkId Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        Span<byte> bytes = stackalloc byte[ChunkId.Size];
        return reader.TokenType == JsonTokenType.String && reader.GetString() is { Length: ChunkId.Size * 2 } text
            && Convert.FromHexString(text, bytes, out _, out int written) == System.Buffers.OperationStatus.Done && written == ChunkId.Size
            ? ChunkId.From(bytes)
            : throw new JsonException("a chunk id has 64 hexadecimal digits");
    }

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, ChunkId value, JsonSerializerOptions options) => writer.WriteStringValue(value.ToString());
}

/// <summary>128-bit ids as 32 hexadecimal digits. (§1)</summary>
internal sealed class GuidConverter : JsonConverter<Guid>
{
    /// <inheritdoc/>
    public override Guid Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.String && Guid.TryParseExact(reader.GetString(), "N", out Guid id)
            ? id
            : throw new JsonException("an id has 32 hexadecimal digits");

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, Guid value, JsonSerializerOptions options) => writer.WriteStringValue(value.ToString("N"));
}
