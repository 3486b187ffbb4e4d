using System.Runtime.InteropServices;
using Quench.Interop.Bpf;

namespace Quench.Snapshots.Writes;

/// <summary>Turns what the programs put into the ring into events: processes and files become objects of their own, paths are put together. Not thread-safe.</summary>
internal sealed class WriteReader
{
    private const int BtrfsTreeInode = 1; // the cache of all of a btrfs's trees (fs/btrfs, BTRFS_BTREE_INODE_OBJECTID)

    private static readonly WrittenFile s_unknown = new(WrittenKind.Unknown, 0);

    private readonly long _length;
    private readonly bool _isBtrfs;
    private readonly MonotonicTime _time;
    private readonly WrittenFile _metadata = new(WrittenKind.Metadata, 0);
    private readonly Dictionary<FileKey, WrittenFile> _files = [];
    private readonly Dictionary<(int Id, bool IsKernel, UInt128 Name), WritingProcess> _processes = [];
    private readonly Dictionary<FileKey, (ulong Time, List<string> Parts)> _paths = [];

    /// <summary>A reader for one volume.</summary>
    public WriteReader(WatchedVolume volume, MonotonicTime time)
        : this(volume.Length, volume.FileSystem == "btrfs", time)
    {
    }

    internal WriteReader(long length, bool isBtrfs, MonotonicTime time) => (_length, _isBtrfs, _time) = (length, isBtrfs, time);

    /// <summary>Records that were neither events nor names.</summary>
    public long Foreign { get; private set; }

    /// <summary>Empties the ring.</summary>
    /// <returns>How many events there were.</returns>
    public int Take(BpfRing ring, ICollection<WriteEvent> into)
    {
        int before = into.Count;
        while (ring.TryPeek(out ReadOnlySpan<byte> bytes))
        {
            Take(bytes, into);
            ring.Take();
        }

        return into.Count - before;
    }

    internal void Take(ReadOnlySpan<byte> bytes, ICollection<WriteEvent> into)
    {
        WriteRecord record = new(bytes);
        if (record.IsPath)
        {
            AddPart(record);
        }
        else if (record.IsEvent)
        {
            into.Add(ToEvent(record));
        }
        else
        {
            Foreign++;
        }
    }

    private WriteEvent ToEvent(WriteRecord record)
    {
        long start = Math.Max(0, record.Offset);
        long end = Math.Min(_length, record.Offset + record.Bytes);
        WriterEvidence evidence = record.How switch
        {
            WriteRecord.PageWriter => WriterEvidence.Pages,
            WriteRecord.FileWriter => WriterEvidence.File,
            WriteRecord.Nobody => WriterEvidence.None,
            _ => WriterEvidence.Sent,
        };
        return new WriteEvent(
            _time.At(record.Time),
            KindOf(record.Operation, record.Bytes),
            start,
            Math.Max(0, end - start),
            evidence == WriterEvidence.None ? WritingProcess.Unknown : ProcessOf(record),
            evidence,
            FileOf(record));
    }

    /// <summary>Operations as the block layer numbers them. (linux/blk_types.h, enum req_op)</summary>
    private static WriteKind KindOf(int operation, long bytes) => operation switch
    {
        1 when bytes == 0 => WriteKind.Flush,
        1 or 7 => WriteKind.Write,
        3 or 5 => WriteKind.Discard,
        9 => WriteKind.Zero,
        _ => WriteKind.Other,
    };

    private WritingProcess ProcessOf(WriteRecord record)
    {
        (int Id, bool IsKernel, UInt128 Name) key = (record.Process, record.ByKernel, MemoryMarshal.Read<UInt128>(record.Name));
        if (!_processes.TryGetValue(key, out WritingProcess? process))
        {
            process = new WritingProcess(record.Process, WriteRecord.ToText(record.Name), record.ByKernel);
            _processes.Add(key, process);
        }

        return process;
    }

    private WrittenFile FileOf(WriteRecord record) =>
        record.Kind == WriteRecord.DeviceCache || (record.Kind == WriteRecord.File && _isBtrfs && record.EventFile.Inode == BtrfsTreeInode) ? _metadata
        : record.Kind == WriteRecord.File ? FileOf(record.EventFile)
        : s_unknown;

    private WrittenFile FileOf(FileKey key)
    {
        if (!_files.TryGetValue(key, out WrittenFile? file))
        {
            file = new WrittenFile(WrittenKind.File, key.Inode);
            _files.Add(key, file);
        }

        return file;
    }

    /// <summary>The parts of a path come from its end, and before the event that they belong to. A path without its root is that of a very deep file, and begins with an ellipsis.</summary>
    private void AddPart(WriteRecord record)
    {
        if (!_paths.TryGetValue(record.PathFile, out (ulong Time, List<string> Parts) path) || path.Time != record.Time)
        {
            path = (record.Time, []);
            _paths[record.PathFile] = path;
        }

        if (!record.IsRoot)
        {
            path.Parts.Add(record.Text);
        }

        if (record.IsRoot || record.Depth == WriteProgram.PathDepth - 1)
        {
            path.Parts.Reverse();
            FileOf(record.PathFile).Path = (record.IsRoot ? "/" : "…/") + string.Join('/', path.Parts);
            _paths.Remove(record.PathFile);
        }
    }
}
