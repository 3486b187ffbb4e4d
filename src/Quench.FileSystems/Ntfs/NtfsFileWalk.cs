using Quench.Blocks;
using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Ntfs;

/// <summary>
/// One walk over the folders of a file system. Each folder is entered once. A folder or file that can't be read is passed over and told; two that contradict each other end the walk, and
/// nothing of it counts.
/// </summary>
internal sealed class NtfsFileWalk
{
    private const long RootRecord = 5;
    private const long FirstOrdinaryRecord = 24; // those before it are the file system's own
    private const int DeepestFolder = 1024;
    private const byte DosNamespace = 2;
    private const uint ReparsePoint = 0xC0;
    private const ushort Compressed = 0x00FF;
    private const ushort Encrypted = 0x4000;

    private static readonly long[] s_owned = [0, 1, 2, 4, 6, 7, 10]; // whose data are the file system's: the table, its mirror, the log, the bitmap, the boot file…

    private readonly IBlockReader _volume;
    private readonly NtfsRecords _records;
    private readonly BlockBitmap _claims;
    private readonly FileCollector _found;
    private readonly Stack<Folder> _waiting = [];

    /// <summary>Begins one.</summary>
    public NtfsFileWalk(IBlockReader volume, NtfsRecords records)
    {
        _volume = volume;
        _records = records;
        _claims = new BlockBitmap(records.Clusters);
        _found = new FileCollector(volume.Geometry.Length, records.ClusterSize);
    }

    /// <summary>Walks.</summary>
    /// <exception cref="InDoubtException">Nothing that was found can be trusted, or too much would have to be read.</exception>
    public async ValueTask<FileFindings> RunAsync(IFolderSelection root, CancellationToken cancellationToken)
    {
        await ClaimAsync(cancellationToken);
        ulong rootReference = await ReferenceOfAsync(RootRecord, cancellationToken);
        _waiting.Push(new Folder(rootReference, "", root, 0));
        while (_waiting.TryPop(out Folder folder))
        {
            cancellationToken.ThrowIfCancellationRequested();
            try
            {
                await EnterAsync(folder, cancellationToken);
            }
            catch (InDoubtException doubt) when (!_records.IsExhausted && !_found.IsContradiction)
            {
                _found.Doubt($"{(folder.Path.Length == 0 ? "/" : folder.Path)} can't be read whole: {doubt.Message}");
            }
        }

        return _found.Finish();
    }

    private async ValueTask ClaimAsync(CancellationToken cancellationToken)
    {
        foreach (long number in s_owned)
        {
            NtfsFile file = await NtfsFile.ReadAsync(_records, await ReferenceOfAsync(number, cancellationToken), cancellationToken);
            foreach (Run run in IsInClusters(file) ? file.RunsOf(FileRecord.Data, "", _records.Clusters).Runs : [])
            {
                if (run.First >= 0)
                {
                    _claims.SetRange(run.First, run.Count);
                }
            }
        }
    }

    private async ValueTask<ulong> ReferenceOfAsync(long number, CancellationToken cancellationToken) =>
        (ulong)number | ((ulong)ReadUInt16LittleEndian((await _records.ReadAsync(number, cancellationToken)).AsSpan(0x10)) << 48);

    private static bool IsInClusters(NtfsFile file) => file.Find(FileRecord.Data, "").FirstOrDefault() is { } data && data[8] == 1;

    private async ValueTask EnterAsync(Folder folder, CancellationToken cancellationToken)
    {
        NtfsFile file = await NtfsFile.ReadAsync(_records, folder.Reference, cancellationToken);
        Unless(file.IsFolder, $"NTFS record {NtfsFile.NumberOf(folder.Reference)} is not a folder");
        _found.DemandFirst(NtfsFile.NumberOf(folder.Reference), $"{folder.Path}/");
        foreach (IndexedName name in await FolderIndex.ReadAsync(_records, file, folder.Reference, cancellationToken))
        {
            await MeetAsync(folder, name, cancellationToken);
        }
    }

    private async ValueTask MeetAsync(Folder folder, IndexedName name, CancellationToken cancellationToken)
    {
        if (NtfsFile.NumberOf(name.Reference) < FirstOrdinaryRecord)
        {
            return; // $MFT and the like, and what is below $Extend
        }

        string path = $"{folder.Path}/{name.Name}";
        try
        {
            if (name.IsFolder && folder.Selection.Below(name.Name, name.IgnoresCase) is { } below)
            {
                Unless(folder.Depth < DeepestFolder && _waiting.Count < FileCollector.MostWaiting, "it lies deeper, or beside more folders, than Quench follows");
                _waiting.Push(new Folder(name.Reference, path, below, folder.Depth + 1));
            }
            else if (!name.IsFolder && folder.Selection.FileOf(name.Name, name.IgnoresCase) is { } wanted)
            {
                await TakeAsync(name.Reference, path, wanted, cancellationToken);
            }
        }
        catch (InDoubtException doubt) when (!_records.IsExhausted && !_found.IsContradiction)
        {
            _found.Doubt($"{path} is kept: {doubt.Message}");
        }
    }

    private async ValueTask TakeAsync(ulong reference, string path, WantedFile wanted, CancellationToken cancellationToken)
    {
        NtfsFile file = await NtfsFile.ReadAsync(_records, reference, cancellationToken);
        Unless(!file.IsFolder, "it is a folder");
        int links = file.Find(FileRecord.FileName, "").Count(name => FileRecord.Value(name) is { Length: >= 0x42 } value && value[0x41] != DosNamespace);
        Unless(links > 0, "its record has no name");
        if (links == 1)
        {
            _found.DemandFirst(NtfsFile.NumberOf(reference), path);
        }
        else if (!_found.HasMetAllNames(NtfsFile.NumberOf(reference), links, ref path, ref wanted))
        {
            return;
        }

        if (!IsInClusters(file))
        {
            return; // its bytes are in its record, which is metadata
        }

        ushort flags = ReadUInt16LittleEndian(file.Find(FileRecord.Data, "").First().AsSpan(0x0C));
        Unless((flags & Encrypted) == 0, "it is encrypted, so zeros would not be read as zeros");
        Unless((flags & Compressed) == 0, "it is compressed, so zeros need not be read as zeros");
        Unless(!file.Find(ReparsePoint, "").Any(), "it is a reparse point: another program says what is in it");
        RunList runs = file.RunsOf(FileRecord.Data, "", _records.Clusters);
        await DemandStartAsync(wanted, runs, cancellationToken);
        foreach (Run run in runs.Runs.Where(run => run.First >= 0))
        {
            _found.Contradict(_claims.CountSet(run.First, run.Count) == 0, $"{path} has clusters of the file system's own");
        }

        _found.Add(wanted, path, Math.Max(0, runs.Length), Behind(runs, (wanted.KeptHead + _records.ClusterSize - 1) / _records.ClusterSize));
    }

    private async ValueTask DemandStartAsync(WantedFile wanted, RunList runs, CancellationToken cancellationToken)
    {
        if (wanted.UnlessStart is { } start && runs.Runs is [{ First: >= 0 } first, ..])
        {
            byte[] bytes = new byte[start.Length];
            await VolumeBytes.ReadAsync(_volume, first.First * _records.ClusterSize, bytes, cancellationToken);
            Unless(!wanted.IsUnwanted(bytes), $"it begins with \"{start}\"");
        }
    }

    private static IEnumerable<(long First, long Count)> Behind(RunList runs, long head)
    {
        long position = 0;
        foreach (Run run in runs.Runs)
        {
            long skip = Math.Clamp(head - position, 0, run.Count);
            position += run.Count;
            if (run.First >= 0 && skip < run.Count)
            {
                yield return (run.First + skip, run.Count - skip);
            }
        }
    }

    private readonly record struct Folder(ulong Reference, string Path, IFolderSelection Selection, int Depth);
}
