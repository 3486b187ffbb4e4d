using Quench.Blocks;
using Quench.Interop.Linux;
using Quench.Interop.Memory;
using Quench.Snapshots;
using Quench.Snapshots.Coordination;
using Quench.SystemTests.Harness;
using Microsoft.Win32.SafeHandles;

namespace Quench.SystemTests.Writers;

/// <summary>An image of a volume, without the files that components exclude, mounted where a server may write.</summary>
internal sealed class RestoredCopy : IAsyncDisposable
{
    private const int PieceBytes = 1 << 20;

    private readonly TempFolder _folder = new("copy");

    internal string MountPoint => _folder["mnt"];

    /// <summary>A folder for a server's socket.</summary>
    internal string RunFolder(string name) => _folder[name];

    /// <summary>Of a snapshot, copied block by block.</summary>
    internal static Task<RestoredCopy> MakeAsync(ISnapshot snapshot, IEnumerable<WriterComponent> components, string liveMountPoint) =>
        MakeAsync(image => CopyAsync(snapshot.Reader, image), components, liveMountPoint);

    /// <param name="fill">Makes the image's file.</param>
    /// <param name="components">Whose excluded files are removed.</param>
    /// <param name="liveMountPoint">What their paths begin with.</param>
    internal static async Task<RestoredCopy> MakeAsync(Func<string, Task> fill, IEnumerable<WriterComponent> components, string liveMountPoint)
    {
        RestoredCopy copy = new();
        try
        {
            ServersOnOneVolume.OpenToAll(copy._folder.Path);
            await fill(copy._folder["image"]);
            Directory.CreateDirectory(copy.MountPoint);
            await Tool.RunAsync("mount", "-o", "loop", copy._folder["image"], copy.MountPoint);
            foreach (ComponentFiles excluded in components.SelectMany(component => component.Excluded))
            {
                string folder = copy.MountPoint + excluded.Folder[liveMountPoint.Length..];
                foreach (string file in Directory.Exists(folder) ? Directory.GetFiles(folder, excluded.Pattern) : [])
                {
                    File.Delete(file);
                }
            }

            return copy;
        }
        catch
        {
            await copy.DisposeAsync();
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Mounts.Read().Any(mount => mount.MountPoint == MountPoint))
        {
            await Tool.RunAsync("umount", MountPoint);
        }

        _folder.Dispose();
    }

    private static async Task CopyAsync(IBlockReader from, string to)
    {
        using SafeFileHandle file = NativeFile.Open(to, OpenMode.ReadWrite | OpenMode.Create | OpenMode.Exclusive);
        NativeFile.SetLength(file, from.Geometry.Length);
        using NativeBuffer piece = new(PieceBytes);
        for (long at = 0; at < from.Geometry.Length; at += PieceBytes)
        {
            Memory<byte> bytes = piece.Memory[..(int)Math.Min(PieceBytes, from.Geometry.Length - at)];
            await from.ReadAsync(at, bytes, CancellationToken.None);
            if (bytes.Span.ContainsAnyExcept((byte)0))
            {
                NativeFile.Write(file, bytes.Span, at);
            }
        }
    }
}
