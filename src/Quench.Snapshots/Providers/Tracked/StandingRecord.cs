using System.Buffers;
using System.Buffers.Binary;
using System.Security.Cryptography;
using Quench.Blocks;
using Quench.Snapshots.Tracking;

namespace Quench.Snapshots.Providers.Tracked;

/// <summary>A point that is remembered: the volume as it was when the count began, or earlier.</summary>
/// <param name="Vault">Its vault.</param>
/// <param name="Point">The point.</param>
/// <param name="Used">The blocks that it holds.</param>
/// <param name="Changed">What changed between it and the beginning of the count.</param>
internal sealed record StandingPoint(Guid Vault, Guid Point, UsedBlocks Used, UsedBlocks Changed);

/// <summary>What is remembered beside a tracker that stands: the last point of each vault, the newest first.</summary>
/// <remarks>
/// <code>
///   "QNSTAND1"   count (4)   then for each: vault (16)  point (16)  used  changed (<see cref="BlockRuns"/>)   SHA-256 of all before it (32)
/// </code>
/// Little-endian. It lies where a reboot empties, and is believed only as long as the tracker names it.
/// </remarks>
internal static class StandingRecord
{
    /// <summary>How many vaults are remembered; the one that was used longest ago gives way.</summary>
    public const int MaxPoints = 4;

    private const int HeaderSize = 12;
    private const int IdsSize = 32;
    private static ReadOnlySpan<byte> Magic => "QNSTAND1"u8;

    public static byte[] Encode(IReadOnlyList<StandingPoint> points)
    {
        ArrayBufferWriter<byte> into = new();
        Span<byte> header = into.GetSpan(HeaderSize);
        Magic.CopyTo(header);
        BinaryPrimitives.WriteInt32LittleEndian(header[Magic.Length..], points.Count);
        into.Advance(HeaderSize);
        foreach (StandingPoint point in points)
        {
            Span<byte> ids = into.GetSpan(IdsSize);
            point.Vault.TryWriteBytes(ids);
            point.Point.TryWriteBytes(ids[16..]);
            into.Advance(IdsSize);
            into.Write(BlockRuns.Encode(point.Used));
            into.Write(BlockRuns.Encode(point.Changed));
        }

        into.Write(SHA256.HashData(into.WrittenSpan));
        return into.WrittenSpan.ToArray();
    }

    /// <exception cref="InvalidDataException">It is none, or of a volume of another length.</exception>
    public static IReadOnlyList<StandingPoint> Decode(ReadOnlySpan<byte> source, long volumeLength)
    {
        if (source.Length < HeaderSize + SHA256.HashSizeInBytes
            || !source.StartsWith(Magic)
            || !SHA256.HashData(source[..^SHA256.HashSizeInBytes]).AsSpan().SequenceEqual(source[^SHA256.HashSizeInBytes..]))
        {
            throw BlockRuns.Damaged();
        }

        int count = BinaryPrimitives.ReadInt32LittleEndian(source[Magic.Length..]);
        ReadOnlySpan<byte> rest = source[HeaderSize..^SHA256.HashSizeInBytes];
        List<StandingPoint> points = [];
        for (int index = 0; index < count; index++)
        {
            ReadOnlySpan<byte> ids = BlockRuns.Take(ref rest, IdsSize);
            Guid vault = new(ids[..16]);
            Guid point = new(ids[16..]);
            points.Add(new StandingPoint(vault, point, BlockRuns.DecodeUsed(ref rest, volumeLength), BlockRuns.DecodeUsed(ref rest, volumeLength)));
        }

        return points;
    }
}
