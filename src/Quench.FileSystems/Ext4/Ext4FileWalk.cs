using Quench.Blocks;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Ext4;

/// <summary>
/// One walk over the folders of a file system. Each folder is entered once. A folder or file that can't be read is passed over and told; two that contradict each other end the walk, and
/// nothing of it counts.
/// </summary>
internal sealed class Ext4FileWalk
{
    private const uint RootInode = 2;
    private const uint FirstOrdinaryInode = 11;
    private const int DeepestFolder = 1024;

    private readonly Layout _layout;
    private readonly InodeReader _inodes;
    private readonly FolderReader _folders;
    private readonly BlockBitmap _claims;     // blocks of the file system's own structures
    private readonly BlockBitmap _journaled;  // blocks that the journal would write
    private readonly FileCollector _found;
    private readonly Stack<Folder> _waiting = [];

    /// <summary>Begins one.</summary>
    public Ext4FileWalk(Ext4FileSystem opened, GroupTable groups, bool hasKinds, long volumeLength, long mostBlocks)
    {
        _layout = opened.Layout;
        _inodes = new InodeReader(opened.Layout, groups, opened.Reader, mostBlocks);
        _folders = new FolderReader(_inodes, hasKinds);
        _claims = groups.Claims;
        _journaled = new BlockBitmap(_layout.Blocks);
        foreach (long block in opened.Replay?.Blocks ?? [])
        {
            _journaled.Set(block);
        }

        _found = new FileCollector(volumeLength, _layout.BlockSize, ((long)_layout.InodesPerGroup * _layout.Groups) + 1);
    }

    /// <summary>Walks.</summary>
    /// <exception cref="InDoubtException">Nothing that was found can be trusted, or too much would have to be read.</exception>
    public async ValueTask<FileFindings> RunAsync(IFolderSelection root, CancellationToken cancellationToken)
    {
        _waiting.Push(new Folder(RootInode, "", root, 0));
        while (_waiting.TryPop(out Folder folder))
        {
            cancellationToken.ThrowIfCancellationRequested();
            try
            {
                await EnterAsync(folder, cancellationToken);
            }
            catch (InDoubtException doubt) when (!_inodes.IsExhausted && !_found.IsContradiction)
            {
                _found.Doubt($"{(folder.Path.Length == 0 ? "/" : folder.Path)} can't be read whole: {doubt.Message}");
            }
        }

        return _found.Finish();
    }

    private async ValueTask EnterAsync(Folder folder, CancellationToken cancellationToken)
    {
        (byte[] inode, uint seed) = await _inodes.ReadInodeAsync(folder.Number, cancellationToken);
        Unless(new Inode(inode).IsFolder && new Inode(inode).Links > 0, $"ext4 inode {folder.Number} is not a folder");
        _found.DemandFirst(folder.Number, $"{folder.Path}/");
        Unless((new Inode(inode).Flags & InodeFlags.Encrypted) == 0, "its names are encrypted");
        await foreach (FolderEntry entry in _folders.ReadAsync(folder.Number, inode, seed, cancellationToken))
        {
            await MeetAsync(folder, entry, cancellationToken);
        }
    }

    private async ValueTask MeetAsync(Folder folder, FolderEntry entry, CancellationToken cancellationToken)
    {
        WantedFile? wanted = entry.Kind is EntryKind.RegularFile or EntryKind.Unknown ? folder.Selection.FileOf(entry.Name, ignoresCase: false) : null;
        IFolderSelection? below = entry.Kind is EntryKind.Folder or EntryKind.Unknown ? folder.Selection.Below(entry.Name, ignoresCase: false) : null;
        if (wanted is null && below is null)
        {
            return;
        }

        string path = $"{folder.Path}/{entry.Name}";
        try
        {
            EntryKind kind = entry.Kind == EntryKind.Unknown ? await KindOfAsync(entry.Inode, cancellationToken) : entry.Kind;
            if (kind == EntryKind.Folder && below is not null)
            {
                Unless(folder.Depth < DeepestFolder && _waiting.Count < FileCollector.MostWaiting, "it lies deeper, or beside more folders, than Quench follows");
                _waiting.Push(new Folder(entry.Inode, path, below, folder.Depth + 1));
            }
            else if (kind == EntryKind.RegularFile && wanted is { } file)
            {
                await TakeAsync(entry.Inode, path, file, cancellationToken);
            }
        }
        catch (InDoubtException doubt) when (!_inodes.IsExhausted && !_found.IsContradiction)
        {
            _found.Doubt($"{path} is kept: {doubt.Message}");
        }
    }

    private async ValueTask<EntryKind> KindOfAsync(uint number, CancellationToken cancellationToken)
    {
        (byte[] inode, _) = await _inodes.ReadInodeAsync(number, cancellationToken);
        return new Inode(inode).IsFolder ? EntryKind.Folder : new Inode(inode).IsRegularFile ? EntryKind.RegularFile : EntryKind.Unknown;
    }

    private async ValueTask TakeAsync(uint number, string path, WantedFile wanted, CancellationToken cancellationToken)
    {
        Unless(number >= FirstOrdinaryInode && number != _layout.JournalInode, $"ext4 inode {number} belongs to the file system itself");
        (byte[] inode, uint seed) = await _inodes.ReadInodeAsync(number, cancellationToken);
        int links = new Inode(inode).Links;
        Unless(new Inode(inode).IsRegularFile && links > 0, $"ext4 inode {number} is not a file in use");
        RequireOrdinary(new Inode(inode).Flags);
        if (links == 1)
        {
            _found.DemandFirst(number, path);
        }
        else if (!_found.HasMetAllNames(number, links, ref path, ref wanted))
        {
            return;
        }

        if ((new Inode(inode).Flags & InodeFlags.InlineData) != 0)
        {
            return; // its bytes are in the inode, which is metadata
        }

        IReadOnlyList<DataRun> runs = await DataRuns.ReadAsync(_inodes, inode, seed, $"ext4 inode {number}", cancellationToken);
        if (wanted.UnlessStart is { } start && runs is [{ Position: 0 } first, ..])
        {
            byte[] block = await _inodes.ReadBlockAsync((ulong)first.Start, cancellationToken);
            Unless(!wanted.IsUnwanted(block.AsSpan(0, start.Length)), $"it begins with \"{start}\"");
        }

        long head = (wanted.KeptHead + _layout.BlockSize - 1) / _layout.BlockSize;
        foreach (DataRun run in runs)
        {
            _found.Contradict(_claims.CountSet(run.Start, run.Count) == 0, $"{path} has blocks of the file system's own");
            Unless(_journaled.CountSet(run.Start, run.Count) == 0, "some of its data are in the journal");
        }

        _found.Add(wanted, path, (long)Math.Min(new Inode(inode).Size, long.MaxValue), Behind(runs, head));
    }

    private static void RequireOrdinary(InodeFlags flags)
    {
        Unless((flags & InodeFlags.Encrypted) == 0, "it is encrypted, so zeros would not be read as zeros");
        Unless((flags & InodeFlags.Verity) == 0, "it is protected against every change (verity), so zeros could not be read");
        Unless((flags & InodeFlags.AttributeValue) == 0, "it holds an attribute of another file");
    }

    private static IEnumerable<(long First, long Count)> Behind(IReadOnlyList<DataRun> runs, long head)
    {
        foreach (DataRun run in runs)
        {
            long skip = Math.Clamp(head - run.Position, 0, run.Count);
            if (skip < run.Count)
            {
                yield return (run.Start + skip, run.Count - skip);
            }
        }
    }

    private readonly record struct Folder(uint Number, string Path, IFolderSelection Selection, int Depth);
}
