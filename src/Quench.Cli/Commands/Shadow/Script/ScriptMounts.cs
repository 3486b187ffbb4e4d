using Quench.Imaging.Recovery;
using Quench.Snapshots.Store;

namespace Quench.Cli.Commands.Shadow.Script;

/// <summary>Copies that a script has mounted at folders.</summary>
internal sealed class ScriptMounts
{
    private readonly List<SnapshotMount> _mounts = [];

    /// <summary>Mounts a copy for reading.</summary>
    public async Task MountAsync(ShadowCopy copy, string folder, CancellationToken cancellationToken) =>
        _mounts.Add(SnapshotMount.Make(copy.Volume, copy.Snapshot, await SnapshotLook.FileSystemOfAsync(copy.Volume, copy.Snapshot, cancellationToken), folder));

    /// <summary>Takes a mount away, and with its last one the copy's device.</summary>
    /// <param name="line">Whose turn it is.</param>
    /// <param name="what">The folder, or the copy's id.</param>
    /// <exception cref="Blocks.QuenchException">CLI-161: this script has mounted nothing there, or it is in use.</exception>
    public void Unmount(int line, string what)
    {
        string id = what.Trim('{', '}');
        SnapshotMount mount = _mounts.Find(one => one.Folder == Path.GetFullPath(what) || one.Snapshot.Id.ToString("D").Equals(id, StringComparison.OrdinalIgnoreCase))
            ?? throw ScriptErrors.Failed(line, $"this script has mounted nothing at {what}");
        if (!TryUnmount(mount))
        {
            throw ScriptErrors.Failed(line, $"{mount.Folder} is in use", "end what works in it");
        }
    }

    /// <summary>Takes the mounts of a copy away.</summary>
    /// <returns>Folders that are in use.</returns>
    public IReadOnlyList<string> LetGo(ShadowCopy copy) =>
        [.. _mounts.Where(mount => mount.Snapshot.Id == copy.Snapshot.Id).ToArray().Where(mount => !TryUnmount(mount)).Select(mount => mount.Folder)];

    private bool TryUnmount(SnapshotMount mount)
    {
        if (!mount.TryUnmount())
        {
            return false;
        }

        _mounts.Remove(mount);
        if (_mounts.TrueForAll(other => other.Snapshot.Id != mount.Snapshot.Id))
        {
            PersistentSnapshots.Unexpose(mount.Volume, mount.Snapshot.Number);
        }

        return true;
    }
}
