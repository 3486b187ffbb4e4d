using Quench.Interop.Linux;

namespace Quench.Snapshots.Coordination.Restoring;

/// <summary>A folder that something is restored to, as it is now.</summary>
public sealed record TargetFolder
{
    private TargetFolder()
    {
    }

    /// <summary>The folder, links resolved as far as it is there.</summary>
    public required string Path { get; init; }

    /// <summary>It is there.</summary>
    public required bool IsThere { get; init; }

    /// <summary>It can change places with another one: it is there, nothing is mounted on it, and its file system goes on beside it.</summary>
    public required bool MayBeRenamed { get; init; }

    /// <summary>A folder in the same file system, which is there: beside it, or itself when it can't be renamed, or the nearest above it that is there.</summary>
    public required string Beside { get; init; }

    /// <summary>The file system, to know two folders of the same by.</summary>
    public required string FileSystem { get; init; }

    /// <summary>Bytes that can be written there.</summary>
    public required long FreeBytes { get; init; }

    /// <summary>Looks at a folder.</summary>
    /// <param name="folder">An absolute path.</param>
    /// <exception cref="IOException">It is no folder.</exception>
    public static TargetFolder Look(string folder)
    {
        string wanted = FileChoice.Normal(folder);
        if (NativeFile.TryGetStatus(wanted) is not { } status)
        {
            string above = wanted;
            do
            {
                above = System.IO.Path.GetDirectoryName(above)!;
            }
            while (NativeFile.TryGetStatus(above) is null);

            string realAbove = RealFolder(above);
            return Make(System.IO.Path.Combine(realAbove, FileChoice.Below(above, wanted)!), realAbove, isThere: false, mayBeRenamed: false);
        }

        string real = RealFolder(wanted);
        string? parent = System.IO.Path.GetDirectoryName(real);
        bool mayBeRenamed = parent is not null && NativeFile.TryGetMountNumber(real) == NativeFile.TryGetMountNumber(parent)
            && NativeFile.TryGetStatus(parent)?.Device == status.Device;
        return Make(real, mayBeRenamed ? parent! : real, isThere: true, mayBeRenamed);
    }

    /// <summary>Makes durable what was written to the file system of a folder.</summary>
    public static void Sync(string folder)
    {
        using Microsoft.Win32.SafeHandles.SafeFileHandle handle = NativeFile.Open(folder, OpenMode.ReadOnly | OpenMode.Directory);
        NativeFile.SyncFileSystem(handle);
    }

    /// <summary>Whether something is at a path, a link that leads nowhere included.</summary>
    public static bool HasEntry(string path) => NativeFile.TryGetStatus(path, followLinks: false) is not null;

    /// <summary>Whether a path is a folder and no link to one.</summary>
    public static bool IsRealFolder(string path) => NativeFile.TryGetStatus(path, followLinks: false) is { Kind: FileKind.Directory };

    private static TargetFolder Make(string path, string beside, bool isThere, bool mayBeRenamed) => new()
    {
        Path = path,
        IsThere = isThere,
        MayBeRenamed = mayBeRenamed,
        Beside = beside,
        FileSystem = NativeFile.TryGetStatus(beside)!.Value.Device.ToString(),
        FreeBytes = new DriveInfo(beside).AvailableFreeSpace,
    };

    private static string RealFolder(string path) => NativeFile.TryGetStatus(path) is { Kind: FileKind.Directory }
        ? NativeFile.TryGetRealPath(path) ?? throw new IOException($"{path} can't be looked at")
        : throw new IOException($"{path} is not a folder");
}
