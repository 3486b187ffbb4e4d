using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.Vault.Stores;

/// <summary>
/// Objects as files below a directory. A put writes under a temporary name in the object's own directory, syncs the file, renames it
/// without replacing, and syncs the directory; a directory made on the way is synced into its parent first. (docs/vault-format.md §12.1)
/// </summary>
/// <remarks>
/// A file whose sync failed is abandoned and deleted, never synced again: the kernel may have dropped what it could not write. What a killed
/// process leaves under a temporary name is deleted by a later put in that directory, which knows by the lock that its writer is gone.
/// </remarks>
public sealed partial class LocalDirectory : IHealingStore
{
    private const string TemporaryPrefix = ".tmp-";
    private const string FileSystemsOwn = "lost+found";
    private const int Attempts = 3;
    private const int FileBits = 0x180; // 0600
    private const int FolderBits = 0x1C0; // 0700

    private readonly ConcurrentDictionary<string, bool> _readyFolders = new(StringComparer.Ordinal); // exist durably, swept of leftovers

    /// <summary>A store in a directory, which the first put makes when it does not exist.</summary>
    /// <param name="path">The directory; absolute, or relative to the working directory of this moment.</param>
    public LocalDirectory(string path) => Location = Path.GetFullPath(path);

    /// <inheritdoc/>
    public string Location { get; }

    /// <inheritdoc/>
    public async Task PutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        if (await TryPutAsync(name, content, cancellationToken))
        {
            return;
        }

        byte[]? present = await GetAsync(name, cancellationToken);
        if (present is null || !present.AsSpan().SequenceEqual(content.Span))
        {
            throw new ObjectExistsException(name, Location);
        }

        // Whoever put it may not have come to the sync of the directory yet, or may have died before.
        Guard($"making {name} durable", () => NativeFile.SyncDirectory(Path.GetDirectoryName(PathOf(name))!));
    }

    /// <inheritdoc/>
    public Task<bool> TryPutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        ObjectName.Check(name);
        cancellationToken.ThrowIfCancellationRequested();
        string path = PathOf(name);
        return Task.Run(() => Guard($"writing {name}", () => TryPut(path, content.Span)), cancellationToken);
    }

    /// <inheritdoc/>
    public Task<byte[]?> GetAsync(string name, CancellationToken cancellationToken)
    {
        ObjectName.Check(name);
        cancellationToken.ThrowIfCancellationRequested();
        return Task.FromResult(Guard($"reading {name}", () => Get(PathOf(name))));
    }

    /// <inheritdoc/>
    public ValueTask<bool> TryReadAsync(string name, long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        ObjectName.Check(name);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        cancellationToken.ThrowIfCancellationRequested();
        return ValueTask.FromResult(Guard($"reading {name}", () =>
        {
            using SafeFileHandle? file = TryOpen(PathOf(name));
            return file is not null && NativeFile.Read(file, into.Span, offset) == into.Length;
        }));
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<StoredObject> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask;
        // The folder that all names with this prefix lie in, or below.
        int slash = prefix.LastIndexOf('/');
        string top = slash < 0 ? Location : Path.Combine(Location, prefix[..slash]);
        Stack<string> folders = new([top]);
        while (folders.TryPop(out string? folder))
        {
            foreach (DirectoryEntry entry in Guard($"listing {folder}", () => NativeFile.TryReadDirectory(folder)) ?? [])
            {
                cancellationToken.ThrowIfCancellationRequested();
                string path = Path.Combine(folder, entry.Name);
                string name = Path.GetRelativePath(Location, path);
                if (entry.Kind == FileKind.Directory && ObjectName.IsValid(name))
                {
                    folders.Push(path);
                }
                else if (!IsTemporary(entry.Name) && !IsAside(entry.Name) && name != FileSystemsOwn && name.StartsWith(prefix, StringComparison.Ordinal))
                {
                    bool isFile = entry.Kind == FileKind.Regular;
                    yield return new StoredObject(name, isFile ? Guard($"listing {name}", () => LengthOf(path)) : 0, !isFile || !ObjectName.IsValid(name));
                }
            }
        }
    }

    /// <inheritdoc/>
    public Task DeleteAsync(string name, CancellationToken cancellationToken)
    {
        ObjectName.Check(name);
        cancellationToken.ThrowIfCancellationRequested();
        string path = PathOf(name);
        return Task.Run(
            () => Guard($"deleting {name}", () =>
            {
                NativeFile.TryDelete(path);
                SyncIfThere(Path.GetDirectoryName(path)!); // also when it was gone: whoever deleted it may not have come to this
            }),
            cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <summary>An unfinished put.</summary>
    private static bool IsTemporary(string fileName) => fileName.StartsWith(TemporaryPrefix, StringComparison.Ordinal);

    /// <summary>A damaged object that was healed; it stays until somebody takes it away by hand. (docs/vault-format.md §6.6)</summary>
    private static bool IsAside(string fileName) => fileName.StartsWith(AsidePrefix, StringComparison.Ordinal);

    /// <summary>A file's length; 0 when it was deleted while it was listed: the caller finds out when it reads.</summary>
    private static long LengthOf(string path) => NativeFile.TryGetStatus(path, followLinks: false)?.Length ?? 0;

    private static bool IsFolder(string path) => NativeFile.TryGetStatus(path) is { Kind: FileKind.Directory };

    private static void SyncIfThere(string folder)
    {
        try
        {
            NativeFile.SyncDirectory(folder);
        }
        catch (LinuxErrorException failure) when (failure.Errno is Errno.ENOENT or Errno.ENOTDIR)
        {
            // no folder, no object
        }
    }

    private static SafeFileHandle? TryOpen(string path)
    {
        try
        {
            return NativeFile.Open(path, OpenMode.ReadOnly | OpenMode.NoFollow | OpenMode.NonBlocking);
        }
        catch (LinuxErrorException failure) when (failure.Errno is Errno.ENOENT or Errno.ENOTDIR)
        {
            return null;
        }
    }

    private static byte[]? Get(string path)
    {
        using SafeFileHandle? file = TryOpen(path);
        if (file is null)
        {
            return null;
        }

        byte[] content = new byte[NativeFile.GetLength(file)];
        NativeFile.ReadExactly(file, content, 0);
        return content;
    }

    private string PathOf(string name) => Path.Combine(Location, name);

    private bool TryPut(string path, ReadOnlySpan<byte> content)
    {
        string folder = Path.GetDirectoryName(path)!;
        MakeReady(folder);
        for (int attempt = 1; NativeFile.TryGetStatus(path, followLinks: false) is null; attempt++)
        {
            try
            {
                return TryPutOnce(folder, path, content);
            }
            catch (LinuxErrorException failure) when (failure.Errno == Errno.ENOENT && attempt < Attempts)
            {
                // Another process swept the folder between our open and our lock. It happens once if ever.
            }
        }

        return false;
    }

    private static bool TryPutOnce(string folder, string path, ReadOnlySpan<byte> content)
    {
        string temporary = Path.Combine(folder, TemporaryPrefix + RandomNumberGenerator.GetHexString(32, lowercase: true));
        bool renamed = false;
        try
        {
            using SafeFileHandle file = NativeFile.Open(temporary, OpenMode.WriteOnly | OpenMode.Create | OpenMode.Exclusive | OpenMode.NoFollow, FileBits);
            _ = AdvisoryLock.TryTake(file); // told apart from a dead writer's; who took it first deletes the file, and the rename says so
            NativeFile.Write(file, content, 0);
            NativeFile.Sync(file);
            renamed = NativeFile.TryRenameNoReplace(temporary, path);
        }
        finally
        {
            if (!renamed)
            {
                Abandon(temporary);
            }
        }

        if (renamed)
        {
            NativeFile.SyncDirectory(folder);
        }

        return renamed;
    }

    /// <summary>Deletes a name that means nothing as well as may be: what stays is swept later, and why the put failed is what counts now.</summary>
    private static void Abandon(string name)
    {
        try
        {
            NativeFile.TryDelete(name);
        }
        catch (LinuxErrorException)
        {
            // if the put has failed, that failure is on its way; if not, nothing is lost by a name too many
        }
    }

    /// <summary>Makes a folder exist durably, and clears it of what dead writers left. Once for each folder and store.</summary>
    private void MakeReady(string folder)
    {
        if (_readyFolders.ContainsKey(folder))
        {
            return;
        }

        Stack<string> toSync = new(); // folders whose entry in their parent may not be durable
        for (string at = folder; at.Length >= Location.Length || !IsFolder(at); at = Path.GetDirectoryName(at)!)
        {
            // Below our own directory another process may have made one and not synced it yet; above it only what is missing concerns us.
            if (at.Length > Location.Length || !IsFolder(at))
            {
                toSync.Push(at);
            }
        }

        foreach (string next in toSync)
        {
            NativeFile.TryMakeDirectory(next, FolderBits);
            NativeFile.SyncDirectory(Path.GetDirectoryName(next)!);
        }

        Sweep(folder);
        _readyFolders[folder] = true;
    }

    private static void Sweep(string folder)
    {
        foreach (DirectoryEntry entry in (NativeFile.TryReadDirectory(folder) ?? []).Where(entry => IsTemporary(entry.Name)))
        {
            string path = Path.Combine(folder, entry.Name);
            using SafeFileHandle? file = TryOpen(path);
            if (file is not null && AdvisoryLock.TryTake(file))
            {
                NativeFile.TryDelete(path);
            }
        }
    }

    private void Guard(string what, Action action) => Guard(what, () =>
    {
        action();
        return true;
    });

    private T Guard<T>(string what, Func<T> action)
    {
        try
        {
            return action();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw StoreErrors.From(Location, what, failure);
        }
    }
}
