using Quench.FileSystems.PartitionTables;
using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.Tests.FileSystems.PartitionTables;

/// <summary>Small disks made byte by byte.</summary>
internal static class TestDisk
{
    private const int Sector = 512;
    private const int Sectors = 8 * 2048;
    private const int ArrayBytes = 128 * 128;

    /// <summary>8 MiB: partitions of 1 MiB at 1 MiB and of 3 MiB at 3 MiB.</summary>
    public static byte[] Gpt()
    {
        byte[] disk = new byte[Sectors * Sector];
        WriteEntry(disk.AsSpan(446), 0xEE, 1, Sectors - 1);
        disk[510] = 0x55;
        disk[511] = 0xAA;
        WriteGptEntry(disk.AsSpan(2 * Sector), 1, 2048, 4095);
        WriteGptEntry(disk.AsSpan((2 * Sector) + 128), 2, 3 * 2048, (6 * 2048) - 1);
        disk.AsSpan(2 * Sector, ArrayBytes).CopyTo(disk.AsSpan(disk.Length - (33 * Sector)));
        WriteHeader(disk.AsSpan(Sector, Sector), 1, Sectors - 1, 2);
        WriteHeader(disk.AsSpan(disk.Length - Sector), Sectors - 1, 1, Sectors - 33);
        SealGpt(disk);
        return disk;
    }

    /// <summary>8 MiB: partition 1 of 1 MiB at 1 MiB; at 2 MiB an extended one of 5 MiB, in it 5 and 6, each behind a MiB of its own.</summary>
    public static byte[] Mbr()
    {
        byte[] disk = new byte[Sectors * Sector];
        WriteUInt32LittleEndian(disk.AsSpan(440), 0x1234ABCD);
        WriteEntry(disk.AsSpan(446), 0x83, 2048, 2048);
        WriteEntry(disk.AsSpan(446 + 16), 0x05, 2 * 2048, 5 * 2048);
        WriteEntry(disk.AsSpan((2 << 20) + 446), 0x83, 2048, 2048);
        WriteEntry(disk.AsSpan((2 << 20) + 446 + 16), 0x05, 2 * 2048, 3 * 2048);
        WriteEntry(disk.AsSpan((4 << 20) + 446), 0x82, 2048, 2048);
        foreach (int record in (int[])[0, 2 << 20, 4 << 20])
        {
            disk[record + 510] = 0x55;
            disk[record + 511] = 0xAA;
        }

        return disk;
    }

    public static void WriteEntry(Span<byte> entry, byte type, uint first, uint count)
    {
        entry[4] = type;
        WriteUInt32LittleEndian(entry[8..], first);
        WriteUInt32LittleEndian(entry[12..], count);
    }

    /// <summary>Makes the checksums of both copies right, where their headers still say how much they cover.</summary>
    public static void SealGpt(byte[] disk)
    {
        foreach (int header in (int[])[Sector, disk.Length - Sector])
        {
            Span<byte> sector = disk.AsSpan(header, Sector);
            long array = ReadInt64LittleEndian(sector[72..]);
            ulong bytes = (ulong)ReadUInt32LittleEndian(sector[80..]) * ReadUInt32LittleEndian(sector[84..]);
            uint size = ReadUInt32LittleEndian(sector[12..]);
            if (array > 0 && array < Sectors && bytes <= (ulong)(disk.Length - (array * Sector)) && size is >= 92 and <= Sector)
            {
                WriteUInt32LittleEndian(sector[88..], Crc32.Of(disk.AsSpan((int)array * Sector, (int)bytes)));
                WriteUInt32LittleEndian(sector[16..], 0);
                WriteUInt32LittleEndian(sector[16..], Crc32.Of(sector[..(int)size]));
            }
        }
    }

    private static void WriteHeader(Span<byte> sector, long own, long other, long array)
    {
        "EFI PART"u8.CopyTo(sector);
        WriteUInt32LittleEndian(sector[8..], 0x00010000);
        WriteUInt32LittleEndian(sector[12..], 92);
        WriteInt64LittleEndian(sector[24..], own);
        WriteInt64LittleEndian(sector[32..], other);
        WriteInt64LittleEndian(sector[40..], 34);
        WriteInt64LittleEndian(sector[48..], Sectors - 34);
        sector.Slice(56, 16).Fill(0xD1);
        WriteInt64LittleEndian(sector[72..], array);
        WriteUInt32LittleEndian(sector[80..], 128);
        WriteUInt32LittleEndian(sector[84..], 128);
    }

    private static void WriteGptEntry(Span<byte> entry, byte id, long first, long last)
    {
        new Guid("0fc63daf-8483-4772-8e79-3d69d8477de4").TryWriteBytes(entry);
        entry.Slice(16, 16).Fill(id);
        WriteInt64LittleEndian(entry[32..], first);
        WriteInt64LittleEndian(entry[40..], last);
    }
}
