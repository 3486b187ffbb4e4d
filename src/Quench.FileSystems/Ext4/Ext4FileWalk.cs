using System.Runtime.CompilerServices;
using Quench.Blocks;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Ext4;

/// <summary>One walk over the folders of a file system of the ext family.</summary>
internal sealed class Ext4FileWalk : FolderWalk
{
    /// <summary>The inode of the root folder.</summary>
    public const uint RootInode = 2;

    private const uint FirstOrdinaryInode = 11;

    private readonly Layout _layout;
    private readonly InodeReader _inodes;
    private readonly FolderReader _folders;
    private readonly BlockBitmap _claims;     // blocks of the file system's own structures
    private readonly BlockBitmap _journaled;  // blocks that the journal would write

    /// <summary>Begins one.</summary>
    public Ext4FileWalk(Ext4FileSystem opened, GroupTable groups, bool hasKinds, long volumeLength, long mostBlocks)
        : base(new FileCollector(volumeLength, opened.Layout.BlockSize))
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
    }

    /// <inheritdoc/>
    protected override bool IsExhausted => _inodes.IsExhausted;

    /// <inheritdoc/>
    protected override async IAsyncEnumerable<FolderEntry> EnterAsync(ulong number, string path, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        (byte[] inode, uint seed) = await _inodes.ReadInodeAsync((uint)number, cancellationToken);
        Unless(new Inode(inode).IsFolder && new Inode(inode).Links > 0, $"ext4 inode {number} is not a folder");
        Found.DemandFirst((long)number, path);
        Unless((new Inode(inode).Flags & InodeFlags.Encrypted) == 0, "its names are encrypted");
        await foreach (FolderEntry entry in _folders.ReadAsync((uint)number, inode, seed, cancellationToken))
        {
            yield return entry;
        }
    }

    /// <inheritdoc/>
    protected override async ValueTask<EntryKind> KindOfAsync(ulong number, CancellationToken cancellationToken)
    {
        (byte[] inode, _) = await _inodes.ReadInodeAsync((uint)number, cancellationToken);
        return new Inode(inode).IsFolder ? EntryKind.Folder : new Inode(inode).IsRegularFile ? EntryKind.RegularFile : EntryKind.Unknown;
    }

    /// <inheritdoc/>
    protected override async ValueTask TakeAsync(ulong number, string path, WantedFile wanted, CancellationToken cancellationToken)
    {
        Unless(number >= FirstOrdinaryInode && number != _layout.JournalInode, $"ext4 inode {number} belongs to the file system itself");
        (byte[] inode, uint seed) = await _inodes.ReadInodeAsync((uint)number, cancellationToken);
        int links = new Inode(inode).Links;
        Unless(new Inode(inode).IsRegularFile && links > 0, $"ext4 inode {number} is not a file in use");
        RequireOrdinary(new Inode(inode).Flags);
        if (links == 1)
        {
            Found.DemandFirst((long)number, path);
        }
        else if (!Found.HasMetAllNames((long)number, links, ref path, ref wanted))
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
            Found.Contradict(_claims.CountSet(run.Start, run.Count) == 0, $"{path} has blocks of the file system's own");
            Unless(_journaled.CountSet(run.Start, run.Count) == 0, "some of its data are in the journal");
        }

        Found.Add(wanted, path, (long)Math.Min(new Inode(inode).Size, long.MaxValue), DataRun.Behind(runs, head));
    }

    private static void RequireOrdinary(InodeFlags flags)
    {
        Unless((flags & InodeFlags.Encrypted) == 0, "it is encrypted, so zeros would not be read as zeros");
        Unless((flags & InodeFlags.Verity) == 0, "it is protected against every change (verity), so zeros could not be read");
        Unless((flags & InodeFlags.AttributeValue) == 0, "it holds an attribute of another file");
    }
}
