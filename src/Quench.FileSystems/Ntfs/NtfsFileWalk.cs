using System.Runtime.CompilerServices;
using Quench.Blocks;
using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Ntfs;

/// <summary>One walk over the folders of an NTFS file system.</summary>
internal sealed class NtfsFileWalk : FolderWalk
{
    private const long RootRecord = 5;
    private const long FirstOrdinaryRecord = 24; // those before it are the file system's own
    private const byte DosNamespace = 2;
    private const uint ReparsePoint = 0xC0;
    private const ushort Compressed = 0x00FF;
    private const ushort Encrypted = 0x4000;

    private static readonly long[] s_owned = [0, 1, 2, 4, 6, 7, 10]; // whose data are the file system's: the table, its mirror, the log, the bitmap, the boot file…

    private readonly IBlockReader _volume;
    private readonly NtfsRecords _records;
    private readonly BlockBitmap _claims;

    /// <summary>Begins one.</summary>
    public NtfsFileWalk(IBlockReader volume, NtfsRecords records)
        : base(new FileCollector(volume.Geometry.Length, records.ClusterSize))
    {
        _volume = volume;
        _records = records;
        _claims = new BlockBitmap(records.Clusters);
    }

    /// <summary>Walks.</summary>
    /// <exception cref="InDoubtException">Nothing that was found can be trusted, or too much would have to be read.</exception>
    public async ValueTask<FileFindings> RunAsync(IFolderSelection root, CancellationToken cancellationToken)
    {
        await ClaimAsync(cancellationToken);
        return await RunAsync(await ReferenceOfAsync(RootRecord, cancellationToken), root, cancellationToken);
    }

    /// <inheritdoc/>
    protected override bool IsExhausted => _records.IsExhausted;

    /// <inheritdoc/>
    protected override async IAsyncEnumerable<FolderEntry> EnterAsync(ulong number, string path, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        NtfsFile file = await NtfsFile.ReadAsync(_records, number, cancellationToken);
        Unless(file.IsFolder, $"NTFS record {NtfsFile.NumberOf(number)} is not a folder");
        Found.DemandFirst(NtfsFile.NumberOf(number), path);
        foreach (FolderEntry entry in await FolderIndex.ReadAsync(_records, file, number, cancellationToken))
        {
            if (NtfsFile.NumberOf(entry.Inode) >= FirstOrdinaryRecord) // not $MFT and the like, and what is below $Extend
            {
                yield return entry;
            }
        }
    }

    /// <inheritdoc/>
    protected override async ValueTask<EntryKind> KindOfAsync(ulong number, CancellationToken cancellationToken) =>
        (await NtfsFile.ReadAsync(_records, number, cancellationToken)).IsFolder ? EntryKind.Folder : EntryKind.RegularFile;

    /// <inheritdoc/>
    protected override async ValueTask TakeAsync(ulong number, string path, WantedFile wanted, CancellationToken cancellationToken)
    {
        NtfsFile file = await NtfsFile.ReadAsync(_records, number, cancellationToken);
        Unless(!file.IsFolder, "it is a folder");
        int links = file.Find(FileRecord.FileName, "").Count(name => FileRecord.Value(name) is { Length: >= 0x42 } value && value[0x41] != DosNamespace);
        Unless(links > 0, "its record has no name");
        if (links == 1)
        {
            Found.DemandFirst(NtfsFile.NumberOf(number), path);
        }
        else if (!Found.HasMetAllNames(NtfsFile.NumberOf(number), links, ref path, ref wanted))
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
        foreach (DataRun run in runs.Data())
        {
            Found.Contradict(_claims.CountSet(run.Start, run.Count) == 0, $"{path} has clusters of the file system's own");
        }

        Found.Add(wanted, path, Math.Max(0, runs.Length), DataRun.Behind(runs.Data(), (wanted.KeptHead + _records.ClusterSize - 1) / _records.ClusterSize));
    }

    private async ValueTask ClaimAsync(CancellationToken cancellationToken)
    {
        foreach (long number in s_owned)
        {
            NtfsFile file = await NtfsFile.ReadAsync(_records, await ReferenceOfAsync(number, cancellationToken), cancellationToken);
            foreach (DataRun run in IsInClusters(file) ? file.RunsOf(FileRecord.Data, "", _records.Clusters).Data() : [])
            {
                _claims.SetRange(run.Start, run.Count);
            }
        }
    }

    private async ValueTask<ulong> ReferenceOfAsync(long number, CancellationToken cancellationToken) =>
        (ulong)number | ((ulong)ReadUInt16LittleEndian((await _records.ReadAsync(number, cancellationToken)).AsSpan(0x10)) << 48);

    private static bool IsInClusters(NtfsFile file) => file.Find(FileRecord.Data, "").FirstOrDefault() is { } data && data[8] == 1;

    private async ValueTask DemandStartAsync(WantedFile wanted, RunList runs, CancellationToken cancellationToken)
    {
        if (wanted.UnlessStart is { } start && runs.Runs is [{ First: >= 0 } first, ..])
        {
            byte[] bytes = new byte[start.Length];
            await VolumeBytes.ReadAsync(_volume, first.First * _records.ClusterSize, bytes, cancellationToken);
            Unless(!wanted.IsUnwanted(bytes), $"it begins with \"{start}\"");
        }
    }
}
