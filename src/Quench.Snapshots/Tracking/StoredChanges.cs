using System.Numerics;
using Quench.Blocks;

namespace Quench.Snapshots.Tracking;

/// <summary>An answer on its way from the worker to the requestor: the bytes of a file, or why there is none.</summary>
/// <remarks>
/// <code>
///   point (16) │ map of grains │ has doubt (1) [map of regions] │ used blocks        each map as in BlockRuns, with its head
/// </code>
/// </remarks>
/// <param name="Bytes">Null when everything must be read.</param>
/// <param name="Doubt">Why everything, or a part, must be read again; null when the map is exact.</param>
internal sealed record StoredChanges(byte[]? Bytes, string? Doubt)
{
    private const string CrashDoubt = "the volume's worker or the machine stopped without order since the last point: what was being written then is compared again";

    /// <summary>Encodes a mark. Its used blocks go through as they were given.</summary>
    internal static StoredChanges Of(VolumeMark mark, long volumeLength)
    {
        using MemoryStream bytes = new();
        bytes.Write(mark.Point.ToByteArray());
        UsedBlocks changed = new(volumeLength, ChangeMap.GrainSize);
        foreach ((long first, long count) in mark.Changed.Runs())
        {
            changed.Bits.SetRange(first, count);
        }

        bytes.Write(BlockRuns.Encode(changed));
        bool hasDoubt = CountRegions(mark.Doubtful) > 0;
        bytes.WriteByte(hasDoubt ? (byte)1 : (byte)0);
        if (hasDoubt)
        {
            UsedBlocks doubtful = new(volumeLength, ChangeMap.RegionSize);
            foreach ((long first, long count) in ChangeMap.RunsOf(mark.Doubtful!))
            {
                doubtful.Bits.SetRange(first, count);
            }

            bytes.Write(BlockRuns.Encode(doubtful));
        }

        bytes.Write(mark.Used);
        return new StoredChanges(bytes.ToArray(), hasDoubt ? CrashDoubt : null);
    }

    /// <summary>Decodes an answer.</summary>
    /// <exception cref="InvalidDataException">The bytes are no answer about a volume of that length.</exception>
    internal VolumeChanges Decode(long volumeLength)
    {
        if (Bytes is null)
        {
            return VolumeChanges.Unknown(Doubt ?? "the worker gave no reason");
        }

        ReadOnlySpan<byte> rest = Bytes;
        Guid point = new(BlockRuns.Take(ref rest, 16));
        UsedBlocks changed = BlockRuns.DecodeUsed(ref rest, volumeLength);
        UsedBlocks doubtful = BlockRuns.Take(ref rest, 1)[0] != 0 ? BlockRuns.DecodeUsed(ref rest, volumeLength) : new UsedBlocks(volumeLength, ChangeMap.RegionSize);
        UsedBlocks used = BlockRuns.DecodeUsed(ref rest, volumeLength);
        return new VolumeChanges(point, changed, doubtful, used, Doubt);
    }

    internal static long CountRegions(ulong[]? regions) => regions is null ? 0 : regions.Sum(word => BitOperations.PopCount(word));
}
