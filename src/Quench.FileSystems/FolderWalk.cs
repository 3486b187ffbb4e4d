using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems;

/// <summary>
/// One walk over the folders of a file system whose folders give names, inodes and kinds. Each folder is entered once. A folder or file that can't be read is passed over and told; two that
/// contradict each other end the walk, and nothing of it counts.
/// </summary>
/// <param name="found">Takes up what is found.</param>
internal abstract class FolderWalk(FileCollector found)
{
    private const int DeepestFolder = 1024;

    private readonly Stack<Folder> _waiting = [];

    /// <summary>Takes up what is found.</summary>
    protected FileCollector Found => found;

    /// <summary>Whether more was read than may be: what was found so far means nothing then.</summary>
    protected abstract bool IsExhausted { get; }

    /// <summary>Walks.</summary>
    /// <param name="root">The inode of the root folder, or the reference of its record.</param>
    /// <param name="selection">What is wanted in it.</param>
    /// <param name="cancellationToken">Gives up between folders.</param>
    /// <exception cref="InDoubtException">Nothing that was found can be trusted, or too much would have to be read.</exception>
    public async ValueTask<FileFindings> RunAsync(ulong root, IFolderSelection selection, CancellationToken cancellationToken)
    {
        _waiting.Push(new Folder(root, "", selection, 0));
        while (_waiting.TryPop(out Folder folder))
        {
            cancellationToken.ThrowIfCancellationRequested();
            try
            {
                await foreach (FolderEntry entry in EnterAsync(folder.Number, $"{folder.Path}/", cancellationToken))
                {
                    await MeetAsync(folder, entry, cancellationToken);
                }
            }
            catch (InDoubtException doubt) when (!IsExhausted && !found.IsContradiction)
            {
                found.Doubt($"{(folder.Path.Length == 0 ? "/" : folder.Path)} can't be read whole: {doubt.Message}");
            }
        }

        return found.Finish();
    }

    /// <summary>Demands that an inode is a folder, and one that was not met before; reads all its names but "." and "..".</summary>
    /// <exception cref="InDoubtException">It is not, or it is damaged.</exception>
    protected abstract IAsyncEnumerable<FolderEntry> EnterAsync(ulong number, string path, CancellationToken cancellationToken);

    /// <summary>What an inode is.</summary>
    /// <exception cref="InDoubtException">It can't be read.</exception>
    protected abstract ValueTask<EntryKind> KindOfAsync(ulong number, CancellationToken cancellationToken);

    /// <summary>Takes a file's blocks up, if nothing speaks against it.</summary>
    /// <exception cref="InDoubtException">Something does.</exception>
    protected abstract ValueTask TakeAsync(ulong number, string path, WantedFile wanted, CancellationToken cancellationToken);

    private async ValueTask MeetAsync(Folder folder, FolderEntry entry, CancellationToken cancellationToken)
    {
        WantedFile? wanted = entry.Kind is EntryKind.RegularFile or EntryKind.Unknown ? folder.Selection.FileOf(entry.Name, entry.IgnoresCase) : null;
        IFolderSelection? below = entry.Kind is EntryKind.Folder or EntryKind.Unknown ? folder.Selection.Below(entry.Name, entry.IgnoresCase) : null;
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
        catch (InDoubtException doubt) when (!IsExhausted && !found.IsContradiction)
        {
            found.Doubt($"{path} is kept: {doubt.Message}");
        }
    }

    private readonly record struct Folder(ulong Number, string Path, IFolderSelection Selection, int Depth);
}
