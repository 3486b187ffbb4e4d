using System.Text;
using Quench.Blocks;
using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.ExFat;

// The root directory says where the allocation bitmap is: entries of 32 bytes. (Microsoft exFAT specification, sections 6 and 7)
//
//     0x81 allocation bitmap   flags (1) … first cluster (4, at 20), bytes (8, at 24)
//     0x82 up-case table       … first cluster (4, at 20), bytes (8, at 24)
//     0x83 volume label        characters (1), UTF-16 (22)
//     0x00 the end
internal sealed class ExFatVolume
{
    private const int EntrySize = 32;
    private const int MostDirectory = 1024 * 1024; // the three entries stand among the first; files' entries follow
    private const int BytesInOneRead = 1024 * 1024;
    private const uint LastCluster = 0xFFFF_FFFF;
    private readonly IBlockReader _volume;
    private readonly ClusterHeap _heap;
    private readonly long _fatOffset;
    private readonly uint _clusters;
    private readonly int _clusterSize;
    private readonly uint _rootCluster;
    private uint _bitmapCluster;
    private ulong _bitmapLength;
    private uint _upcaseCluster;

    private ExFatVolume(IBlockReader volume, BootSector boot)
    {
        _volume = volume;
        _fatOffset = (long)boot.FatOffset << boot.SectorShift;
        _clusters = boot.Clusters;
        _clusterSize = 1 << (boot.SectorShift + boot.ClusterShift);
        _rootCluster = boot.RootCluster;
        _heap = new ClusterHeap(volume.Geometry.Length, (long)boot.HeapOffset << boot.SectorShift, _clusterSize, _clusters);
    }

    /// <summary>The volume's map.</summary>
    public UsedBlocks Used => _heap.Used;

    public string Label { get; private set; } = "";

    /// <summary>Reads the root directory and the bitmap that it names.</summary>
    /// <exception cref="InDoubtException">A place or length is impossible, or the bitmap contradicts what is known to be in use.</exception>
    public static async ValueTask<ExFatVolume> ReadAsync(IBlockReader volume, byte[] boot, CancellationToken cancellationToken)
    {
        ExFatVolume found = new(volume, new BootSector(boot));
        await found.ReadRootAsync(cancellationToken);
        await found.ReadBitmapAsync(cancellationToken);
        found.RequireUsed(found._rootCluster, "root directory");
        found.RequireUsed(found._upcaseCluster, "up-case table");
        return found;
    }

    private async ValueTask ReadRootAsync(CancellationToken cancellationToken)
    {
        byte[] part = new byte[Math.Min(_clusterSize, BytesInOneRead)];
        uint cluster = _rootCluster;
        for (int read = 0; read < MostDirectory; read += part.Length)
        {
            await VolumeBytes.ReadAsync(_volume, OffsetOf(cluster) + (read % _clusterSize), part, cancellationToken);
            if (!TakeEntries(part))
            {
                break;
            }

            if ((read + part.Length) % _clusterSize == 0)
            {
                cluster = await NextAsync(cluster, cancellationToken);
                if (cluster == LastCluster)
                {
                    break;
                }
            }
        }

        Unless(_bitmapCluster != 0, "the exFAT root directory names no allocation bitmap");
        Unless(_upcaseCluster != 0, "the exFAT root directory names no up-case table");
    }

    /// <summary>Takes what is of interest; false at the end of the directory.</summary>
    private bool TakeEntries(ReadOnlySpan<byte> entries)
    {
        for (; entries.Length >= EntrySize; entries = entries[EntrySize..])
        {
            switch (entries[0])
            {
                case 0:
                    return false;
                case 0x81:
                    Unless(_bitmapCluster == 0, "the exFAT root directory names two allocation bitmaps");
                    _bitmapCluster = ReadUInt32LittleEndian(entries[20..]);
                    _bitmapLength = ReadUInt64LittleEndian(entries[24..]);
                    break;
                case 0x82:
                    _upcaseCluster = ReadUInt32LittleEndian(entries[20..]);
                    break;
                case 0x83:
                    Label = Encoding.Unicode.GetString(entries.Slice(2, Math.Min((int)entries[1], 11) * 2));
                    break;
                default:
                    break;
            }
        }

        return true;
    }

    private async ValueTask ReadBitmapAsync(CancellationToken cancellationToken)
    {
        long length = (_clusters + 7L) / 8;
        Unless(_bitmapLength == (ulong)length, $"the exFAT allocation bitmap has {_bitmapLength} bytes for {_clusters} clusters");
        byte[] part = new byte[Math.Min(Math.Min(_clusterSize, BytesInOneRead), length)];
        List<uint> own = [];
        uint cluster = _bitmapCluster;
        for (long offset = 0; offset < length; offset += part.Length)
        {
            if (offset > 0 && offset % _clusterSize == 0)
            {
                cluster = await NextAsync(cluster, cancellationToken);
            }

            if (offset % _clusterSize == 0)
            {
                own.Add(cluster);
            }

            int take = (int)Math.Min(part.Length, length - offset);
            await VolumeBytes.ReadAsync(_volume, OffsetOf(cluster) + (offset % _clusterSize), part.AsMemory(0, take), cancellationToken);
            Add(part.AsSpan(0, take), offset * 8);
        }

        foreach (uint one in own)
        {
            RequireUsed(one, "allocation bitmap");
        }
    }

    private void Add(ReadOnlySpan<byte> bitmap, long firstCluster)
    {
        BitRuns runs = new(bitmap, (int)Math.Min(bitmap.Length * 8L, _clusters - firstCluster));
        while (runs.MoveNext())
        {
            _heap.Add(firstCluster + runs.First, runs.Count);
        }
    }

    /// <summary>The cluster that the allocation table says comes next.</summary>
    private async ValueTask<uint> NextAsync(uint cluster, CancellationToken cancellationToken)
    {
        byte[] entry = new byte[sizeof(uint)];
        await VolumeBytes.ReadAsync(_volume, _fatOffset + (cluster * 4L), entry, cancellationToken);
        return ReadUInt32LittleEndian(entry);
    }

    private long OffsetOf(uint cluster)
    {
        Unless(cluster >= 2 && cluster - 2 < _clusters, $"the exFAT file system names cluster {cluster}, which does not exist");
        return _heap.OffsetOf(cluster - 2);
    }

    private void RequireUsed(uint cluster, string what)
    {
        bool isUsed = cluster >= 2 && cluster - 2 < _clusters && _heap.IsUsed(cluster - 2);
        Unless(isUsed, $"the exFAT {what} lies in a cluster that counts as free");
    }
}
