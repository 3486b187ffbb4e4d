using Quench.Blocks;
using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.FileSystems;

/// <summary>
/// Where a FAT, exFAT or NTFS file system says that its partition begins on the disk: the "hidden sectors" of its boot sector. The program that starts a machine from it counts from there;
/// nobody else looks. In a partition that begins elsewhere it must say so.
/// </summary>
public sealed class StatedStart
{
    private const int HiddenSectors = 0x1C; // of FAT and NTFS, 4 bytes
    private const int PartitionOffset = 0x40; // of exFAT, 8 bytes
    private readonly List<long> _copies;
    private readonly List<byte[]> _regions;

    private StatedStart(ulong sectors, int sectorSize, List<long> copies, List<byte[]> regions)
    {
        Sector = sectors;
        SectorSize = sectorSize;
        _copies = copies;
        _regions = regions;
    }

    /// <summary>The first sector of its partition, as it says.</summary>
    public ulong Sector { get; }

    /// <summary>Bytes of the sectors that it counts in.</summary>
    public int SectorSize { get; }

    /// <summary>Whether it says that it begins at a byte of the disk.</summary>
    public bool Is(long offset) => (UInt128)Sector * (uint)SectorSize == (UInt128)(ulong)offset;

    /// <summary>Reads what a volume's boot sector says, and which of its copies say the same.</summary>
    /// <param name="volume">Only read.</param>
    /// <param name="cancellationToken">Gives up between reads.</param>
    /// <returns>Null of any other volume, and of an exFAT file system whose boot region does not match its checksum.</returns>
    /// <exception cref="IOException">The medium failed.</exception>
    public static async ValueTask<StatedStart?> TryReadAsync(IBlockReader volume, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(volume);
        byte[] boot = new byte[Fat.BootSector.Size];
        if (!await VolumeBytes.TryReadAsync(volume, 0, boot, cancellationToken))
        {
            return null;
        }

        return new ExFat.BootSector(boot).HasName ? await ReadExFatAsync(volume, boot, cancellationToken)
            : new Ntfs.BootSector(boot).HasName ? await ReadAsync(volume, boot, new Ntfs.BootSector(boot).SectorSize, BackupOfNtfs(boot), cancellationToken)
            : new Fat.BootSector(boot).IsPlausible() ? await ReadAsync(volume, boot, new Fat.BootSector(boot).SectorSize, BackupOfFat(boot), cancellationToken)
            : null;
    }

    /// <summary>What to write so that it says that it begins elsewhere.</summary>
    /// <param name="offset">Where, in bytes from the start of the disk.</param>
    /// <param name="writes">Bytes, and where on the volume they belong: the boot sector, and each of its copies that said the same.</param>
    /// <returns>False when it can't be said: no sector of that size begins there, or the field is too short for its number.</returns>
    public bool TryMove(long offset, out IReadOnlyList<(long Offset, byte[] Bytes)> writes)
    {
        bool isExFat = _regions.Count > 0;
        long sector = offset / SectorSize;
        writes = [];
        if (offset % SectorSize != 0 || (!isExFat && sector > uint.MaxValue))
        {
            return false;
        }

        writes = isExFat ? [.. _regions.Zip(_copies, (region, at) => MoveRegion(region, at, sector)).SelectMany(both => both)] : [.. _copies.Select(at => (at + HiddenSectors, LittleEndian((uint)sector)))];
        return true;
    }

    private static async ValueTask<StatedStart?> ReadAsync(IBlockReader volume, byte[] boot, int sectorSize, long backup, CancellationToken cancellationToken)
    {
        if (sectorSize == 0)
        {
            return null;
        }

        List<long> copies = [0];
        byte[] copy = new byte[boot.Length];
        bool isSame = backup > 0 && await VolumeBytes.TryReadAsync(volume, backup, copy, cancellationToken) && copy.AsSpan(0, PartitionOffset).SequenceEqual(boot.AsSpan(0, PartitionOffset));
        if (isSame)
        {
            copies.Add(backup);
        }

        return new StatedStart(ReadUInt32LittleEndian(boot.AsSpan(HiddenSectors)), sectorSize, copies, []);
    }

    private static async ValueTask<StatedStart?> ReadExFatAsync(IBlockReader volume, byte[] boot, CancellationToken cancellationToken)
    {
        byte shift = new ExFat.BootSector(boot).SectorShift;
        if (shift is < 9 or > 12)
        {
            return null;
        }

        int length = ExFat.BootSector.RegionSectors << shift;
        List<long> copies = [];
        List<byte[]> regions = [];
        for (int index = 0; index < 2; index++)
        {
            byte[] region = new byte[length];
            if (await VolumeBytes.TryReadAsync(volume, (long)index * length, region, cancellationToken) && IsWhole(region, shift) && region.AsSpan(PartitionOffset, 8).SequenceEqual(boot.AsSpan(PartitionOffset, 8)))
            {
                copies.Add((long)index * length);
                regions.Add(region);
            }
        }

        return copies is [0, ..] ? new StatedStart(ReadUInt64LittleEndian(boot.AsSpan(PartitionOffset)), 1 << shift, copies, regions) : null;
    }

    private static bool IsWhole(byte[] region, int shift)
    {
        int sums = region.Length - (1 << shift);
        return ReadUInt32LittleEndian(region.AsSpan(sums)) == ExFat.BootSector.RegionChecksum(region.AsSpan(0, sums));
    }

    /// <summary>The field and the sector of checksums at the region's end.</summary>
    private (long, byte[])[] MoveRegion(byte[] region, long at, long sector)
    {
        byte[] moved = [.. region];
        WriteInt64LittleEndian(moved.AsSpan(PartitionOffset), sector);
        int sums = moved.Length - SectorSize;
        uint sum = ExFat.BootSector.RegionChecksum(moved.AsSpan(0, sums));
        for (int place = sums; place < moved.Length; place += sizeof(uint))
        {
            WriteUInt32LittleEndian(moved.AsSpan(place), sum);
        }

        return [(at + PartitionOffset, moved[PartitionOffset..(PartitionOffset + 8)]), (at + sums, moved[sums..])];
    }

    private static byte[] LittleEndian(uint number)
    {
        byte[] bytes = new byte[sizeof(uint)];
        WriteUInt32LittleEndian(bytes, number);
        return bytes;
    }

    /// <summary>FAT32 keeps a copy among its reserved sectors.</summary>
    private static long BackupOfFat(byte[] bytes)
    {
        Fat.BootSector boot = new(bytes);
        return boot.BackupSector < boot.ReservedSectors ? (long)boot.BackupSector * boot.SectorSize : 0;
    }

    /// <summary>The sector after the last that it counts.</summary>
    private static long BackupOfNtfs(byte[] bytes)
    {
        Ntfs.BootSector boot = new(bytes);
        UInt128 place = (UInt128)boot.Sectors * (uint)boot.SectorSize;
        return place <= long.MaxValue ? (long)place : 0;
    }
}
