using Quench.Blocks;

namespace Quench.FileSystems.Fat;

/// <summary>The used-block map of FAT12, FAT16 and FAT32. What it knows and refuses is in the README of this room.</summary>
internal sealed class FatAnalyser : IFileSystemAnalyser
{
    /// <inheritdoc/>
    public string Name => "fat";

    /// <inheritdoc/>
    public string Tenant => "a FAT file system";

    /// <inheritdoc/>
    public async ValueTask<VolumeAnalysis?> TryAnalyseAsync(IBlockReader volume, VolumeCondition condition, CancellationToken cancellationToken)
    {
        byte[] boot = new byte[BootSector.Size];
        if (!await VolumeBytes.TryReadAsync(volume, 0, boot, cancellationToken) || !new BootSector(boot).IsPlausible())
        {
            return null;
        }

        long length = volume.Geometry.Length;
        Layout layout = Layout.From(new BootSector(boot));
        FileSystemFacts facts = layout.Facts(new BootSector(boot));
        try
        {
            layout.Check(new BootSector(boot), length);
            await RequireBackupAsync(volume, layout, boot, cancellationToken);
            AllocationTable table = await AllocationTable.ReadAsync(layout, volume, cancellationToken);
            bool isMarked = table.IsMarked || new BootSector(boot).IsMarked;
            bool hadErrors = table.HadErrors || new BootSector(boot).HadErrors;
            facts = facts with { State = WithoutJournal.StateOf(isMarked, hadErrors, condition) };
            InDoubtException.Unless(!hadErrors, "the FAT file system has noted errors of its disk; check it");
            return WithoutJournal.DoubtOf(isMarked, condition, facts.Type) is { } doubt
                ? VolumeAnalysis.AllInUse(length, facts, doubt)
                : new VolumeAnalysis(facts, table.Used, Doubt: null);
        }
        catch (InDoubtException doubt)
        {
            return VolumeAnalysis.AllInUse(length, facts, doubt.Message);
        }
    }

    private static async ValueTask RequireBackupAsync(IBlockReader volume, Layout layout, byte[] boot, CancellationToken cancellationToken)
    {
        if (layout.BackupOffset > 0)
        {
            byte[] backup = new byte[BootSector.Size];
            await VolumeBytes.ReadAsync(volume, layout.BackupOffset, backup, cancellationToken);
            InDoubtException.Unless(new BootSector(boot).AgreesWith(new BootSector(backup)), "the FAT32 boot sector and its backup state different sizes; check the file system");
        }
    }
}
