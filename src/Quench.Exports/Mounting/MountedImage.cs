using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Exports.Fuse;
using Quench.Interop.Fuse;
using Quench.Interop.Linux;
using Quench.Interop.Loop;

namespace Quench.Exports.Mounting;

/// <summary>
/// The files of a file system that lies on a block device of ours, readable by this process alone. Needs root. What it takes from the machine is gone when it is disposed, and, but for an
/// empty folder, also when this process is killed. (README.md)
/// </summary>
public sealed class MountedImage : IAsyncDisposable
{
    private const string FolderPrefix = "quench-files-";
    private const int ServingThreads = 4;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    private readonly string _folder;
    private FuseSession? _session;
    private SafeFileHandle? _loop;
    private PrivateMount? _mount;
    private int _isDisposed;

    private MountedImage(string folder) => _folder = folder;

    /// <summary>The root of the file system, as this process reaches it. Absolute links in it lead to this machine's own files: look before you follow one.</summary>
    public string Path => _mount!.Path;

    /// <summary>Mounts.</summary>
    /// <param name="device">Takes writes (a log that is replayed, another identity), which must not be the image's; lent until this is disposed.</param>
    /// <param name="request">Which file system on it.</param>
    /// <param name="temporary">An existing folder for a folder of ours.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="QuenchException">EXPORT-130: a tool is missing; EXPORT-131: it can't be mounted.</exception>
    public static async Task<MountedImage> MountAsync(IBlockDevice device, MountRequest request, string temporary, CancellationToken cancellationToken)
    {
        Sweep(temporary);
        string folder = System.IO.Path.Combine(temporary, string.Create(CultureInfo.InvariantCulture, $"{FolderPrefix}{Environment.ProcessId}-{Guid.NewGuid():N}"));
        MountedImage image = new(folder);
        try
        {
            Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            await image.MakeAsync(device, request, cancellationToken);
            return image;
        }
        catch (Exception failure) when (failure is IOException or LinuxErrorException or UnauthorizedAccessException)
        {
            await image.DisposeAsync();
            throw new QuenchException(
                "EXPORT-131", $"the {request.Type} file system in the image can't be mounted: {failure.Message}",
                "see the kernel's log (dmesg); the whole volume can be restored instead", failure);
        }
        catch
        {
            await image.DisposeAsync();
            throw;
        }
    }

    /// <summary>Removes what runs that were killed have left behind.</summary>
    /// <param name="temporary">The folder that they had theirs in.</param>
    public static void Sweep(string temporary)
    {
        foreach (string left in Directory.EnumerateDirectories(temporary, FolderPrefix + "*"))
        {
            string[] parts = System.IO.Path.GetFileName(left)[FolderPrefix.Length..].Split('-');
            if (parts.Length == 2 && int.TryParse(parts[0], CultureInfo.InvariantCulture, out int process) && !Directory.Exists($"/proc/{process}"))
            {
                FuseDevice.TryUnmount(left, detach: true);
                TryRemove(left);
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
        {
            return;
        }

        // From the top down: the mount, the device under it, the file under that.
        await Task.Run(() => _mount?.Dispose());
        _loop?.Dispose();
        _session?.Hide();
        if (_session is { } session)
        {
            // Ends when the loop device has let go of its file. If it never does, its threads end with this process.
            await Task.WhenAny(Task.Factory.StartNew(session.Dispose, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default), Task.Delay(s_patience));
        }

        TryRemove(_folder);
    }

    private async Task MakeAsync(IBlockDevice device, MountRequest request, CancellationToken cancellationToken)
    {
        IBlockDevice bytes = device.Geometry.SectorSize == 1 ? device : new WritableByteAddressable(device);
        Extent part = new(request.Offset, request.Length == 0 ? bytes.Geometry.Length - request.Offset : request.Length);
        IBlockDevice fileSystem = part == bytes.Geometry.Whole ? bytes : new WritableSlice(bytes, part);
        _session = FuseSession.Mount(_folder, "quench-files", ServingThreads, static _ => { }); // a failure reaches whoever reads as EIO
        string file = _session.Add("image", new BlockDeviceFile(fileSystem));
        try
        {
            if (request.Type == "btrfs")
            {
                await ChangeIdentityAsync(file, cancellationToken);
            }

            using SafeFileHandle backing = NativeFile.Open(file, OpenMode.ReadWrite);
            string loop = LoopDevice.AttachWhileUsed(backing, "quench-files", out SafeFileHandle held);
            _loop = held;
            _session.Hide();
            _mount = await PrivateMount.MountAsync(loop, request.Type, OptionsFor(request.Type), _folder, cancellationToken);
        }
        catch (Win32Exception missing)
        {
            throw Missing("unshare", "util-linux", missing);
        }
    }

    private static string OptionsFor(string type) => "ro,nosuid,nodev,noexec" + type switch
    {
        "xfs" => ",nouuid",
        "btrfs" => ",subvolid=5",
        _ => "",
    };

    /// <summary>The kernel takes any device with the identity of a file system that it knows for a part of that one.</summary>
    private static async Task ChangeIdentityAsync(string file, CancellationToken cancellationToken)
    {
        ProcessStartInfo start = new("btrfstune", ["-f", "-m", file]) { RedirectStandardError = true, RedirectStandardOutput = true, RedirectStandardInput = true };
        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (Win32Exception missing)
        {
            throw Missing("btrfstune", "btrfs-progs", missing);
        }

        using (process)
        {
            process.StandardInput.Close();
            Task<string> output = process.StandardOutput.ReadToEndAsync(cancellationToken);
            string words = (await process.StandardError.ReadToEndAsync(cancellationToken) + await output).Trim();
            await process.WaitForExitAsync(cancellationToken);
            if (process.ExitCode != 0)
            {
                throw new IOException($"btrfstune could not give it another identity: {words.ReplaceLineEndings("; ")}");
            }
        }
    }

    private static QuenchException Missing(string tool, string package, Exception cause) =>
        new("EXPORT-130", $"{tool} is not here, and files can't be taken out of an image without it", $"install the package {package}, or restore the whole volume", cause);

    private static void TryRemove(string folder)
    {
        try
        {
            Directory.Delete(folder);
        }
        catch (IOException)
        {
            // it is not there, or something is in it: nobody is harmed by a folder that stays
        }
    }
}
