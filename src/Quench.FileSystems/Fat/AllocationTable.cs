using Quench.Blocks;
using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Fat;

/// <summary>
/// Reads the file allocation table: an entry of 0 is a free cluster, anything else one in use, but for bad clusters, which hold nothing that could be
/// read. Where an entry leads must be in use too, and no two may lead to the same place.
/// </summary>
internal sealed class AllocationTable
{
    private const int BytesInOneRead = 768 * 1024; // whole entries of 12, 16 and 32 bits, whole sectors
    private const uint CleanBit16 = 0x8000;
    private const uint NoErrorBit16 = 0x4000;
    private readonly Layout _layout;
    private readonly IBlockReader _volume;
    private readonly ClusterHeap _heap;
    private readonly BlockBitmap _led;
    private long _runStart = -1;

    private AllocationTable(Layout layout, IBlockReader volume)
    {
        _layout = layout;
        _volume = volume;
        _heap = new ClusterHeap(volume.Geometry.Length, layout.HeapOffset, layout.ClusterSize, layout.Clusters);
        _led = new BlockBitmap(layout.Clusters);
    }

    /// <summary>The volume's map.</summary>
    public UsedBlocks Used => _heap.Used;

    /// <summary>Whether the second entry says that the volume was not let go of in order.</summary>
    public bool IsMarked { get; private set; }

    /// <summary>Whether the second entry says that the disk had errors.</summary>
    public bool HadErrors { get; private set; }

    /// <summary>Reads the table and its copy.</summary>
    /// <exception cref="InDoubtException">They differ, or an entry contradicts another.</exception>
    public static async ValueTask<AllocationTable> ReadAsync(Layout layout, IBlockReader volume, CancellationToken cancellationToken)
    {
        AllocationTable table = new(layout, volume);
        long length = (((layout.Clusters + 2) * layout.EntryBits) + 7) / 8;
        byte[] part = new byte[Math.Min(length, BytesInOneRead)];
        byte[] copy = new byte[layout.Fats > 1 ? part.Length : 0];
        for (long offset = 0; offset < length; offset += part.Length)
        {
            Memory<byte> entries = part.AsMemory(0, (int)Math.Min(part.Length, length - offset));
            await VolumeBytes.ReadAsync(volume, layout.FatOffset + offset, entries, cancellationToken);
            if (layout.Fats > 1)
            {
                await VolumeBytes.ReadAsync(volume, layout.FatOffset + layout.FatLength + offset, copy.AsMemory(0, entries.Length), cancellationToken);
                Unless(entries.Span.SequenceEqual(copy.AsSpan(0, entries.Length)), "the two file allocation tables differ; check the file system");
            }

            table.Take(entries.Span, offset * 8 / layout.EntryBits);
        }

        table.Finish();
        return table;
    }

    private void Take(ReadOnlySpan<byte> entries, long firstEntry)
    {
        long end = Math.Min(firstEntry + (entries.Length * 8L / _layout.EntryBits), _layout.Clusters + 2);
        for (long entry = firstEntry; entry < end; entry++)
        {
            uint value = ValueOf(entries, (int)(entry - firstEntry));
            if (entry < 2)
            {
                TakeReserved(entry, value);
            }
            else
            {
                TakeCluster(entry - 2, value);
            }
        }
    }

    private uint ValueOf(ReadOnlySpan<byte> entries, int index)
    {
        switch (_layout.EntryBits)
        {
            case 12:
                int pair = ReadUInt16LittleEndian(entries[(index * 3 / 2)..]);
                return (uint)((index & 1) == 0 ? pair & 0xFFF : pair >> 4);
            case 16:
                return ReadUInt16LittleEndian(entries[(index * 2)..]);
            default:
                return ReadUInt32LittleEndian(entries[(index * 4)..]) & 0x0FFF_FFFF;
        }
    }

    /// <summary>The first entry repeats the medium's byte; the second has, but for FAT12, two bits that say how the volume was left.</summary>
    private void TakeReserved(long entry, uint value)
    {
        if (entry == 0)
        {
            Unless((value & 0xFF) == _layout.Media, "the file allocation table does not begin with the medium's byte");
        }
        else if (_layout.EntryBits > 12)
        {
            int shift = _layout.EntryBits == 32 ? 12 : 0;
            IsMarked = (value & (CleanBit16 << shift)) == 0;
            HadErrors = (value & (NoErrorBit16 << shift)) == 0;
        }
    }

    private void TakeCluster(long cluster, uint value)
    {
        bool isUsed = value != 0 && value != _layout.Bad;
        if (isUsed && value < _layout.Bad)
        {
            Unless(value >= 2 && value - 2 < _layout.Clusters, $"cluster {cluster + 2} of the FAT file system leads to cluster {value}, which does not exist");
            Unless(!_led[value - 2], $"two clusters of the FAT file system lead to cluster {value}; check it");
            _led.Set(value - 2);
        }

        if (isUsed && _runStart < 0)
        {
            _runStart = cluster;
        }
        else if (!isUsed && _runStart >= 0)
        {
            EndRun(cluster);
        }
    }

    private void EndRun(long end)
    {
        _heap.Add(_runStart, end - _runStart);
        _runStart = -1;
    }

    private void Finish()
    {
        if (_runStart >= 0)
        {
            EndRun(_layout.Clusters);
        }

        Unless(_layout.EntryBits < 32 || IsUsed(_layout.RootCluster), "the FAT32 root directory lies in no cluster that is in use");
        foreach ((long first, long count) in _led.SetRuns())
        {
            long end = _heap.OffsetOf(first + count);
            bool allUsed = _heap.Used.Bits.NextClear(_heap.OffsetOf(first) / _heap.Used.BlockSize) is var clear && (clear < 0 || clear * _heap.Used.BlockSize >= end);
            Unless(allUsed, $"a file of the FAT file system goes on in a cluster that counts as free (from {first + 2} on); check it");
        }
    }

    private bool IsUsed(uint cluster) => cluster >= 2 && cluster - 2 < _layout.Clusters && _heap.IsUsed(cluster - 2);
}
