using System.Text;
using Quench.Blocks;
using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Ntfs;

/// <summary>Reads the file table's first records, and from them the state of the volume and its bitmap.</summary>
internal sealed class NtfsVolume
{
    private const int MirroredRecords = 4;
    private const int BytesInOneRead = 1024 * 1024;
    private const int LogRecord = 2;
    private const int VolumeRecord = 3;
    private const int BitmapRecord = 6;
    private const int BadClustersRecord = 8;
    private const int RestartPage = 4096;
    private const ushort NoClient = 0xFFFF;
    private readonly IBlockReader _volume;
    private readonly int _clusterSize;
    private readonly int _recordSize;
    private readonly long _clusters;
    private readonly long _tableOffset;
    private readonly long _mirrorOffset;
    private readonly UsedBlocks _used;
    private RunList _table = new([], 0);

    private NtfsVolume(IBlockReader volume, BootSector boot)
    {
        _volume = volume;
        _clusterSize = (int)boot.ClusterSize;
        _recordSize = (int)boot.RecordSize;
        _clusters = (long)(boot.Sectors / (ulong)(_clusterSize / boot.SectorSize));
        _tableOffset = (long)boot.Table * _clusterSize;
        _mirrorOffset = (long)boot.Mirror * _clusterSize;
        _used = new UsedBlocks(volume.Geometry.Length, _clusterSize);
    }

    public UsedBlocks Used => _used;

    public string Label { get; private set; } = "";

    /// <summary>Whether the volume asks to be checked: it was not let go of in order, or a check was interrupted.</summary>
    public bool IsDirty { get; private set; }

    /// <summary>Whether the log has a client that did not sign off: Windows runs, crashed or sleeps with the volume mounted.</summary>
    public bool HasPendingLog { get; private set; }

    /// <summary>Reads what says how the volume was left.</summary>
    /// <exception cref="InDoubtException">A record is torn, or not what it should be.</exception>
    public static async ValueTask<NtfsVolume> OpenAsync(IBlockReader volume, byte[] boot, CancellationToken cancellationToken)
    {
        NtfsVolume found = new(volume, new BootSector(boot));
        byte[] first = await found.ReadRecordAsync(found._tableOffset, "file table", cancellationToken);
        found._table = found.RunsOf(first, "file table");
        Unless(found._table.Locate(0, found._clusterSize, "file table").Offset == found._tableOffset, "the NTFS file table does not begin where the boot sector says");
        await found.RequireMirrorAsync(cancellationToken);
        found.TakeState(await found.ReadRecordAsync(VolumeRecord, cancellationToken));
        await found.ReadLogAsync(cancellationToken);
        return found;
    }

    /// <summary>What reads its file table and its files.</summary>
    /// <param name="mostReads">How many reads there may be.</param>
    public NtfsRecords RecordsOf(long mostReads) => new(_volume, _table, _clusterSize, _clusters, _recordSize, mostReads);

    /// <summary>Draws the map from $Bitmap.</summary>
    /// <exception cref="InDoubtException">The bitmap is too short, or counts as free what is known to be in use.</exception>
    public async ValueTask DrawAsync(CancellationToken cancellationToken)
    {
        byte[] record = await ReadRecordAsync(BitmapRecord, cancellationToken);
        RunList bitmap = RunsOf(record, "bitmap");
        long length = (_clusters + 7) / 8;
        Unless(bitmap.Length >= length, $"the NTFS bitmap has {bitmap.Length} bytes for {_clusters} clusters");
        byte[] part = new byte[Math.Min(length, BytesInOneRead)];
        for (long position = 0; position < length;)
        {
            (long offset, long room) = bitmap.Locate(position, _clusterSize, "bitmap");
            int take = (int)Math.Min(Math.Min(room, part.Length), length - position);
            await VolumeBytes.ReadAsync(_volume, offset, part.AsMemory(0, take), cancellationToken);
            Add(part.AsSpan(0, take), position * 8);
            position += take;
        }

        RequireUsed(new RunList([new Run(0, 1), new Run(_mirrorOffset / _clusterSize, 1)], 0), "boot sector or mirror");
        RequireUsed(_table, "file table");
        RequireUsed(bitmap, "bitmap");
        LeaveOutBadClusters(await ReadRecordAsync(BadClustersRecord, cancellationToken));
        _used.Add(Extent.FromTo(_clusters * _clusterSize, _used.VolumeLength));
    }

    private void Add(ReadOnlySpan<byte> bitmap, long firstCluster)
    {
        BitRuns runs = new(bitmap, (int)Math.Min(bitmap.Length * 8L, _clusters - firstCluster));
        while (runs.MoveNext())
        {
            _used.Bits.SetRange(firstCluster + runs.First, runs.Count);
        }
    }

    private void RequireUsed(RunList runs, string what)
    {
        foreach (Run run in runs.Runs)
        {
            Unless(run.First < 0 || _used.Bits.CountSet(run.First, run.Count) == run.Count, $"the NTFS bitmap counts clusters of the {what} as free");
        }
    }

    /// <summary>The file of bad clusters is one large hole but for them. No file has them, and they may not even be readable.</summary>
    private void LeaveOutBadClusters(byte[] record)
    {
        ReadOnlySpan<byte> attribute = new FileRecord(record).Find(FileRecord.Data, named: true);
        if (attribute.IsEmpty)
        {
            return; // in a record elsewhere: then they are kept
        }

        foreach (Run run in FileRecord.Runs(attribute, _clusters, "list of bad clusters").Runs)
        {
            if (run.First >= 0)
            {
                RequireUsed(new RunList([run], 0), "list of bad clusters");
                _used.Bits.ClearRange(run.First, run.Count);
            }
        }
    }

    private async ValueTask RequireMirrorAsync(CancellationToken cancellationToken)
    {
        for (int number = 0; number < MirroredRecords; number++)
        {
            byte[] record = await ReadRecordAsync(number, cancellationToken);
            byte[] mirror = await ReadRecordAsync(_mirrorOffset + ((long)number * _recordSize), "file table's mirror", cancellationToken);
            bool same = new FileRecord(record).InUse.SequenceEqual(new FileRecord(mirror).InUse);
            Unless(same, $"record {number} of the NTFS file table differs from its mirror; check the file system");
        }
    }

    private void TakeState(byte[] bytes)
    {
        FileRecord record = new(bytes);
        ReadOnlySpan<byte> information = FileRecord.Value(record.Find(FileRecord.VolumeInformation));
        Unless(information.Length >= 12 && information[8] is 1 or 3, "the NTFS file system is of a version that is not known here");
        IsDirty = ReadUInt16LittleEndian(information[10..]) != 0;
        ReadOnlySpan<byte> name = record.Find(FileRecord.VolumeName);
        Label = name.IsEmpty ? "" : Encoding.Unicode.GetString(FileRecord.Value(name));
    }

    // The log begins with two restart pages. (Linux-NTFS documentation, "$LogFile")
    //
    //     "RSTR" ┬ fixups ┬ … ┬ 0x18 offset of the restart area (2), minor version (2), major version (2)
    //     restart area  0x0C first client in use (2; FFFF: none) ┬ flags (2; 2: left in order)
    //
    // One that is filled with FF was never used. Windows 8 and later raise the version to 2 while they keep metadata in memory, through fast startup too.
    private async ValueTask ReadLogAsync(CancellationToken cancellationToken)
    {
        RunList runs = RunsOf(await ReadRecordAsync(LogRecord, cancellationToken), "log");
        bool isEmpty = true;
        for (int page = 0; page < 2; page++)
        {
            byte[] bytes = new byte[RestartPage];
            (long offset, long room) = runs.Locate(page * RestartPage, _clusterSize, "log");
            Unless(room >= RestartPage || _clusterSize < RestartPage, "the NTFS log is too short");
            await VolumeBytes.ReadAsync(_volume, offset, bytes.AsMemory(0, (int)Math.Min(room, RestartPage)), cancellationToken);
            if (bytes.AsSpan(0, 4).ContainsAnyExcept((byte)0xFF))
            {
                isEmpty = false;
                HasPendingLog |= !IsLeftInOrder(bytes);
            }
        }

        HasPendingLog &= !isEmpty;
    }

    private static bool IsLeftInOrder(byte[] page)
    {
        int area = ReadUInt16LittleEndian(page.AsSpan(0x18));
        return page.AsSpan(0, 4).SequenceEqual("RSTR"u8) && ReadUInt16LittleEndian(page.AsSpan(0x1C)) < 2 && area >= 0x30 && area + 16 <= 510
            && (ReadUInt16LittleEndian(page.AsSpan(area + 12)) == NoClient || (ReadUInt16LittleEndian(page.AsSpan(area + 14)) & 2) != 0);
    }

    private RunList RunsOf(byte[] bytes, string what)
    {
        FileRecord record = new(bytes);
        ReadOnlySpan<byte> data = record.Find(FileRecord.Data);
        Unless(!data.IsEmpty, $"the NTFS {what} is so fragmented that its first record does not tell where it is");
        RunList runs = FileRecord.Runs(data, _clusters, what);
        Unless(what != "bitmap" || record.Find(FileRecord.AttributeList).IsEmpty, "the NTFS bitmap is spread over several records, which is not read here");
        return runs;
    }

    private ValueTask<byte[]> ReadRecordAsync(int number, CancellationToken cancellationToken)
    {
        (long offset, long room) = _table.Locate((long)number * _recordSize, _clusterSize, "file table");
        Unless(room >= _recordSize, "a record of the NTFS file table is split");
        return ReadRecordAsync(offset, $"record {number}", cancellationToken);
    }

    private async ValueTask<byte[]> ReadRecordAsync(long offset, string what, CancellationToken cancellationToken)
    {
        byte[] record = new byte[_recordSize];
        Unless(offset <= (_clusters * _clusterSize) - _recordSize, $"the NTFS {what} lies outside of the file system");
        await VolumeBytes.ReadAsync(_volume, offset, record, cancellationToken);
        FileRecord.Fix(record, "FILE"u8, what);
        new FileRecord(record).Check(what);
        return record;
    }
}
