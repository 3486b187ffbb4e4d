using System.Runtime.CompilerServices;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Xfs.Files;

/// <summary>One walk over the folders of an XFS file system.</summary>
internal sealed class XfsFileWalk : FolderWalk
{
    private readonly XfsVolume _volume;
    private readonly FolderNames _names;

    /// <summary>Begins one.</summary>
    public XfsFileWalk(XfsVolume volume, long volumeLength)
        : base(new FileCollector(volumeLength, volume.Layout.BlockSize))
    {
        _volume = volume;
        _names = new FolderNames(volume);
    }

    /// <inheritdoc/>
    protected override bool IsExhausted => _volume.IsExhausted;

    /// <inheritdoc/>
    protected override async IAsyncEnumerable<FolderEntry> EnterAsync(ulong number, string path, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        byte[] inode = await _volume.ReadInodeAsync(number, cancellationToken);
        Unless(new XfsInode(inode).IsFolder && new XfsInode(inode).Links > 0, $"XFS inode {number} is not a folder");
        Found.DemandFirst((long)number, path);
        await foreach (FolderEntry entry in _names.ReadAsync(number, inode, cancellationToken))
        {
            yield return entry;
        }
    }

    /// <inheritdoc/>
    protected override async ValueTask<EntryKind> KindOfAsync(ulong number, CancellationToken cancellationToken)
    {
        byte[] inode = await _volume.ReadInodeAsync(number, cancellationToken);
        return new XfsInode(inode).IsFolder ? EntryKind.Folder : new XfsInode(inode).IsRegularFile ? EntryKind.RegularFile : EntryKind.Unknown;
    }

    /// <inheritdoc/>
    protected override async ValueTask TakeAsync(ulong number, string path, WantedFile wanted, CancellationToken cancellationToken)
    {
        byte[] inode = await _volume.ReadInodeAsync(number, cancellationToken);
        uint links = new XfsInode(inode).Links;
        Unless(new XfsInode(inode).IsRegularFile && links is > 0 and <= int.MaxValue, $"XFS inode {number} is not a file in use");
        RequireOrdinary(inode);
        if (links == 1)
        {
            Found.DemandFirst((long)number, path);
        }
        else if (!Found.HasMetAllNames((long)number, (int)links, ref path, ref wanted))
        {
            return;
        }

        IReadOnlyList<DataRun> runs = await ForkRuns.ReadAsync(_volume, inode, number, cancellationToken);
        foreach (DataRun run in runs)
        {
            Found.Contradict(_volume.CanBeData(run.Start, run.Count), $"{path} has blocks that are free, or the file system's own");
        }

        if (wanted.UnlessStart is { } start && runs is [{ Position: 0 } first, ..])
        {
            byte[] block = new byte[_volume.Layout.BlockSize];
            await _volume.ReadBlockAsync(first.Start, block, cancellationToken);
            Unless(!wanted.IsUnwanted(block.AsSpan(0, start.Length)), $"it begins with \"{start}\"");
        }

        long head = (wanted.KeptHead + _volume.Layout.BlockSize - 1) / _volume.Layout.BlockSize;
        Found.Add(wanted, path, (long)Math.Min(new XfsInode(inode).Size, long.MaxValue), DataRun.Behind(runs, head));
    }

    private static void RequireOrdinary(byte[] inode)
    {
        XfsInode file = new(inode);
        Unless(!file.MayShare, "it may have blocks in common with another file (reflink)");
        Unless(!file.IsRealtime, "its data lie on the realtime device");
        Unless(!file.HasUnknownFlags, "it has a flag that is not known here");
    }
}
