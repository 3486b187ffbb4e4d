using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.FileSystems.PartitionTables;

// The header of a GUID partition table: the second sector of a disk, and again its last one. (UEFI 2.10, §5.3.2, table 5.5; numbers little-endian)
//
//     0           8          12      16       20    24       32        40             48            56          72              80       84         88
//     ├ EFI PART ─┼ revision ┼ size ─┼ CRC-32 ┼ 0 ──┼ own LBA ┼ other's ┼ first usable ┼ last usable ┼ disk GUID ┼ array's LBA ──┼ entries ┼ each's size ┼ array's CRC-32 ┤

/// <summary>The numbers of a header.</summary>
/// <param name="Size">Bytes of it that its checksum covers.</param>
/// <param name="Lba">Its own sector.</param>
/// <param name="OtherLba">The sector of the other copy's header.</param>
/// <param name="FirstUsable">The first sector that partitions may lie in.</param>
/// <param name="LastUsable">The last one.</param>
/// <param name="DiskId">The disk's GUID.</param>
/// <param name="ArrayLba">Where the array of entries begins.</param>
/// <param name="EntryCount">How many entries it has.</param>
/// <param name="EntrySize">Bytes of each.</param>
/// <param name="ArrayCrc">The array's checksum.</param>
internal readonly record struct GptHeader(
    int Size, long Lba, long OtherLba, long FirstUsable, long LastUsable, Guid DiskId, long ArrayLba, int EntryCount, int EntrySize, uint ArrayCrc)
{
    private const int LeastSize = 92;
    private const int MostArrayBytes = 1 << 20; // 128 entries have 16 KiB; a program that makes 8192 of them is not known

    /// <summary>Bytes of the array.</summary>
    public int ArrayBytes => EntryCount * EntrySize;

    /// <summary>Sectors of the array.</summary>
    public long ArraySectors(int sectorSize) => (ArrayBytes + sectorSize - 1) / sectorSize;

    /// <summary>Whether a sector claims to be a header.</summary>
    public static bool HasMark(ReadOnlySpan<byte> sector) => sector.StartsWith("EFI PART"u8);

    /// <summary>Reads a header.</summary>
    /// <param name="sector">The whole sector.</param>
    /// <param name="lba">Where it was read.</param>
    /// <param name="sectors">How many sectors the disk has.</param>
    /// <param name="header">What it says.</param>
    /// <returns>False when it is no header, or not one that can be believed.</returns>
    public static bool TryRead(ReadOnlySpan<byte> sector, long lba, long sectors, out GptHeader header)
    {
        header = default;
        uint size = ReadUInt32LittleEndian(sector[12..]);
        if (!HasMark(sector) || ReadUInt32LittleEndian(sector[8..]) >> 16 != 1 || size < LeastSize || size > sector.Length || CrcOf(sector[..(int)size]) != ReadUInt32LittleEndian(sector[16..]))
        {
            return false;
        }

        uint count = ReadUInt32LittleEndian(sector[80..]);
        uint each = ReadUInt32LittleEndian(sector[84..]);
        bool hasArray = each >= GptEntry.LeastSize && System.Numerics.BitOperations.IsPow2(each) && count > 0 && (ulong)count * each <= MostArrayBytes;
        long[] places = [Place(sector, 24), Place(sector, 32), Place(sector, 40), Place(sector, 48), Place(sector, 72)];
        if (!hasArray || places.Any(place => place < 0) || places[0] != lba || places[2] > places[3] || places[3] >= sectors)
        {
            return false;
        }

        header = new GptHeader(
            (int)size, lba, places[1], places[2], places[3], new Guid(sector.Slice(56, 16)), places[4], (int)count, (int)each, ReadUInt32LittleEndian(sector[88..]));
        return header.ArrayLba > 0 && header.ArrayLba <= sectors - header.ArraySectors(sector.Length);
    }

    /// <summary>Puts the numbers into a header's sector, whose other bytes stay, and its checksum after them.</summary>
    public void Write(Span<byte> sector)
    {
        WriteInt64LittleEndian(sector[24..], Lba);
        WriteInt64LittleEndian(sector[32..], OtherLba);
        WriteInt64LittleEndian(sector[40..], FirstUsable);
        WriteInt64LittleEndian(sector[48..], LastUsable);
        WriteInt64LittleEndian(sector[72..], ArrayLba);
        WriteUInt32LittleEndian(sector[88..], ArrayCrc);
        WriteUInt32LittleEndian(sector[16..], CrcOf(sector[..Size]));
    }

    /// <summary>The checksum of a header, in which its own field counts as zeros.</summary>
    private static uint CrcOf(ReadOnlySpan<byte> header)
    {
        byte[] bytes = header.ToArray();
        bytes.AsSpan(16, sizeof(uint)).Clear();
        return Crc32.Of(bytes);
    }

    /// <summary>A sector's number; -1 for one that no disk has.</summary>
    private static long Place(ReadOnlySpan<byte> sector, int offset) =>
        ReadUInt64LittleEndian(sector[offset..]) is var place && place <= long.MaxValue >> 12 ? (long)place : -1;
}

/// <summary>One copy of a GUID partition table whose header and array have the checksums that they say.</summary>
/// <param name="Header">The numbers.</param>
/// <param name="HeaderSector">The sector that they were read from.</param>
/// <param name="Array">The entries.</param>
internal sealed record GptCopy(GptHeader Header, byte[] HeaderSector, byte[] Array);
