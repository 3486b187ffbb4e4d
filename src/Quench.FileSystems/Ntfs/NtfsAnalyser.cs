using Quench.Blocks;

namespace Quench.FileSystems.Ntfs;

/// <summary>The used-block map of NTFS. What it knows and refuses is in the README of this room.</summary>
internal sealed class NtfsAnalyser : IFileSystemAnalyser
{
    /// <inheritdoc/>
    public string Name => "ntfs";

    /// <inheritdoc/>
    public string Tenant => "an NTFS file system";

    /// <inheritdoc/>
    public async ValueTask<VolumeAnalysis?> TryAnalyseAsync(IBlockReader volume, VolumeCondition condition, CancellationToken cancellationToken)
    {
        byte[] boot = new byte[BootSector.Size];
        if (!await VolumeBytes.TryReadAsync(volume, 0, boot, cancellationToken) || !new BootSector(boot).HasName)
        {
            return null;
        }

        long length = volume.Geometry.Length;
        FileSystemFacts facts = new BootSector(boot).Facts();
        try
        {
            new BootSector(boot).Check(length);
            await RequireBackupAsync(volume, boot, cancellationToken);
            NtfsVolume found = await NtfsVolume.OpenAsync(volume, boot, cancellationToken);
            facts = facts with { Label = found.Label, State = StateOf(found, condition) };
            RequireInOrder(found, condition);
            await found.DrawAsync(cancellationToken);
            return new VolumeAnalysis(facts, found.Used, Doubt: null);
        }
        catch (InDoubtException doubt)
        {
            return VolumeAnalysis.AllInUse(length, facts, doubt.Message);
        }
    }

    private static FileSystemState StateOf(NtfsVolume volume, VolumeCondition condition) =>
        volume.IsDirty ? WithoutJournal.StateOf(condition)
        : volume.HasPendingLog || condition == VolumeCondition.Running ? FileSystemState.NeedsRecovery
        : FileSystemState.Clean;

    private static void RequireInOrder(NtfsVolume volume, VolumeCondition condition)
    {
        InDoubtException.Unless(condition != VolumeCondition.Running, "the NTFS file system was in use and not frozen, so its bitmap may lag behind its files");
        InDoubtException.Unless(!volume.IsDirty, "the NTFS file system is marked dirty: it is mounted, was not unmounted in order, or has to be checked");
        InDoubtException.Unless(
            !volume.HasPendingLog, "the NTFS log was not closed: Windows runs, crashed or sleeps (fast startup too) with this volume mounted, so its bitmap may lag behind its files");
    }

    /// <summary>The backup lies in the sector after the file system. Where the volume ends before it, there is none to ask.</summary>
    private static async ValueTask RequireBackupAsync(IBlockReader volume, byte[] boot, CancellationToken cancellationToken)
    {
        long offset = (long)new BootSector(boot).Sectors * new BootSector(boot).SectorSize;
        byte[] backup = new byte[BootSector.Size];
        if (await VolumeBytes.TryReadAsync(volume, offset, backup, cancellationToken))
        {
            InDoubtException.Unless(new BootSector(boot).AgreesWith(new BootSector(backup)), "the NTFS boot sector and its backup differ; check the file system");
        }
    }
}
