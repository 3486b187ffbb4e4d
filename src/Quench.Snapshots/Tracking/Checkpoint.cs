using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace Quench.Snapshots.Tracking;

/// <summary>What a checkpoint says of the session that wrote it.</summary>
internal enum CheckpointCondition
{
    /// <summary>The volume is attached: what was written since is in the write-intent map.</summary>
    InUse = 1,

    /// <summary>The volume was detached in order: nothing was written since, as long as the origin bears the stamp.</summary>
    Clean = 2,

    /// <summary>Nothing may be believed any more.</summary>
    Revoked = 3,
}

/// <summary>The change map and the marks as they lie on disk: a slot of the state file. Two slots are written in turn, so that a torn one leaves the other.</summary>
/// <remarks>
/// <code>
///   0        4           8              24               32              40               48                  80           508
///   ├ "QNTC" ┼ version ──┼ state's id ──┼ sequence ──────┼ volume length ┼ payload length ┼ SHA-256 of it ────┼ condition 0 ┼ CRC-32C of 0..508 ┤  … 4096
///   payload: identity, stamp, session (16), boot id, why marks were lost      texts: length (4), UTF-8
///            map of the grains written since the last instant                 BlockRuns
///            count of marks (4), each: vault (16) point (16) used (length (4), BlockRuns with a head) map of grains, has doubt (1) [map of regions]
/// </code>
/// Little-endian.
/// </remarks>
internal sealed record Checkpoint
{
    internal const int HeaderSize = 4096;

    private const uint Magic = 0x43544E51;
    private const int Version = 1;
    private const int ChecksumAt = 508;
    private const int MaxMarks = 64; // a bound for a reader; the tracker keeps fewer

    /// <summary>Which state file this belongs to: chosen when it is made.</summary>
    internal required Guid State { get; init; }

    /// <summary>Grows with each checkpoint.</summary>
    internal required long Sequence { get; init; }

    internal required long VolumeLength { get; init; }

    internal required CheckpointCondition Condition { get; init; }

    /// <summary>Which origin: see <see cref="OriginFacts"/>.</summary>
    internal required string Identity { get; init; }

    /// <summary>The origin's stamp at the detach; empty while attached.</summary>
    internal required string Stamp { get; init; }

    /// <summary>The attachment that wrote this.</summary>
    internal required Guid Session { get; init; }

    internal required string BootId { get; init; }

    /// <summary>Why there are no marks, or why they were given up; empty when nothing was lost.</summary>
    internal required string Lost { get; init; }

    internal required IReadOnlyList<VolumeMark> Marks { get; init; }

    /// <summary>What was written since the last instant, as far as this checkpoint knows.</summary>
    internal required ChangeMap Changed { get; init; }

    /// <summary>Writes header and payload one after the other.</summary>
    internal void Encode(ArrayBufferWriter<byte> into)
    {
        into.ResetWrittenCount();
        into.GetSpan(HeaderSize)[..HeaderSize].Clear();
        into.Advance(HeaderSize);
        EncodePayload(into);
        Span<byte> all = MemoryMarshal.AsMemory(into.WrittenMemory).Span;
        Span<byte> header = all[..HeaderSize];
        BinaryPrimitives.WriteUInt32LittleEndian(header, Magic);
        BinaryPrimitives.WriteInt32LittleEndian(header[4..], Version);
        State.TryWriteBytes(header[8..]);
        BinaryPrimitives.WriteInt64LittleEndian(header[24..], Sequence);
        BinaryPrimitives.WriteInt64LittleEndian(header[32..], VolumeLength);
        BinaryPrimitives.WriteInt64LittleEndian(header[40..], all.Length - HeaderSize);
        SHA256.HashData(all[HeaderSize..], header[48..]);
        BinaryPrimitives.WriteInt32LittleEndian(header[80..], (int)Condition);
        BinaryPrimitives.WriteUInt32LittleEndian(header[ChecksumAt..], Checksum(header));
    }

    /// <summary>Reads a slot.</summary>
    /// <returns>Null when it is empty, torn or damaged.</returns>
    internal static Checkpoint? TryDecode(ReadOnlySpan<byte> slot)
    {
        if (slot.Length < HeaderSize
            || BinaryPrimitives.ReadUInt32LittleEndian(slot) != Magic
            || BinaryPrimitives.ReadInt32LittleEndian(slot[4..]) != Version
            || BinaryPrimitives.ReadUInt32LittleEndian(slot[ChecksumAt..]) != Checksum(slot))
        {
            return null;
        }

        long length = BinaryPrimitives.ReadInt64LittleEndian(slot[40..]);
        if (length < 0 || length > slot.Length - HeaderSize)
        {
            return null;
        }

        ReadOnlySpan<byte> payload = slot.Slice(HeaderSize, (int)length);
        return SHA256.HashData(payload).AsSpan().SequenceEqual(slot.Slice(48, 32)) ? Decode(slot, payload) : null;
    }

    private static Checkpoint? Decode(ReadOnlySpan<byte> header, ReadOnlySpan<byte> payload)
    {
        try
        {
            long volumeLength = BinaryPrimitives.ReadInt64LittleEndian(header[32..]);
            string identity = TakeText(ref payload);
            string stamp = TakeText(ref payload);
            Guid session = new(BlockRuns.Take(ref payload, 16));
            string boot = TakeText(ref payload);
            string lost = TakeText(ref payload);
            return new Checkpoint
            {
                State = new Guid(header.Slice(8, 16)),
                Sequence = BinaryPrimitives.ReadInt64LittleEndian(header[24..]),
                VolumeLength = volumeLength,
                Condition = (CheckpointCondition)BinaryPrimitives.ReadInt32LittleEndian(header[80..]),
                Identity = identity,
                Stamp = stamp,
                Session = session,
                BootId = boot,
                Lost = lost,
                Changed = TakeMap(ref payload, volumeLength),
                Marks = TakeMarks(ref payload, volumeLength),
            };
        }
        catch (InvalidDataException)
        {
            return null;
        }
    }

    private void EncodePayload(ArrayBufferWriter<byte> into)
    {
        PutText(into, Identity);
        PutText(into, Stamp);
        Put(into, Session);
        PutText(into, BootId);
        PutText(into, Lost);
        PutMap(into, Changed);
        PutNumber(into, Marks.Count);
        foreach (VolumeMark mark in Marks)
        {
            Put(into, mark.Vault);
            Put(into, mark.Point);
            PutNumber(into, mark.Used.Length);
            into.Write(mark.Used);
            PutMap(into, mark.Changed);
            into.Write([mark.Doubtful is null ? (byte)0 : (byte)1]);
            if (mark.Doubtful is { } doubtful)
            {
                BlockRuns.Encode(into, (long)doubtful.Length * 64, ChangeMap.RunsOf(doubtful));
            }
        }
    }

    private static List<VolumeMark> TakeMarks(ref ReadOnlySpan<byte> payload, long volumeLength)
    {
        int count = TakeNumber(ref payload);
        List<VolumeMark> marks = [];
        if (count is < 0 or > MaxMarks)
        {
            throw BlockRuns.Damaged();
        }

        for (int index = 0; index < count; index++)
        {
            Guid vault = new(BlockRuns.Take(ref payload, 16));
            Guid point = new(BlockRuns.Take(ref payload, 16));
            byte[] used = BlockRuns.Take(ref payload, TakeNumber(ref payload)).ToArray();
            ChangeMap changed = TakeMap(ref payload, volumeLength);
            ulong[]? doubtful = null;
            if (BlockRuns.Take(ref payload, 1)[0] != 0)
            {
                ulong[] words = new ulong[(ChangeMap.RegionsIn(volumeLength) + 63) / 64];
                BlockRuns.Decode(ref payload, (long)words.Length * 64, (first, length) => ChangeMap.AddRun(words, first, length));
                doubtful = words;
            }

            marks.Add(new VolumeMark { Vault = vault, Point = point, Used = used, Changed = changed, Doubtful = doubtful });
        }

        return marks;
    }

    private static void PutMap(ArrayBufferWriter<byte> into, ChangeMap map) => BlockRuns.Encode(into, (long)map.Regions * ChangeMap.GrainsInRegion, map.Runs());

    private static ChangeMap TakeMap(ref ReadOnlySpan<byte> payload, long volumeLength)
    {
        ChangeMap map = new(volumeLength);
        BlockRuns.Decode(ref payload, (long)map.Regions * ChangeMap.GrainsInRegion, map.AddRun);
        return map;
    }

    private static void Put(ArrayBufferWriter<byte> into, Guid id)
    {
        id.TryWriteBytes(into.GetSpan(16));
        into.Advance(16);
    }

    private static void PutNumber(ArrayBufferWriter<byte> into, int number)
    {
        BinaryPrimitives.WriteInt32LittleEndian(into.GetSpan(4), number);
        into.Advance(4);
    }

    private static int TakeNumber(ref ReadOnlySpan<byte> payload) => BinaryPrimitives.ReadInt32LittleEndian(BlockRuns.Take(ref payload, 4));

    private static void PutText(ArrayBufferWriter<byte> into, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        PutNumber(into, bytes.Length);
        into.Write(bytes);
    }

    private static string TakeText(ref ReadOnlySpan<byte> payload) => Encoding.UTF8.GetString(BlockRuns.Take(ref payload, TakeNumber(ref payload)));

    private static uint Checksum(ReadOnlySpan<byte> header)
    {
        uint crc = uint.MaxValue;
        for (int at = 0; at < ChecksumAt; at += 4)
        {
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt32LittleEndian(header[at..]));
        }

        return ~crc;
    }
}
