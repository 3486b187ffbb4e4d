using Quench.Blocks;
using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.FileSystems.ExFat;

/// <summary>The used-block map of exFAT. What it knows and refuses is in the README of this room.</summary>
internal sealed class ExFatAnalyser : IFileSystemAnalyser
{
    /// <inheritdoc/>
    public string Name => "exfat";

    /// <inheritdoc/>
    public string Tenant => "an exFAT file system";

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
            bool isMarked = new BootSector(boot).IsMarked;
            facts = facts with { State = WithoutJournal.StateOf(isMarked, new BootSector(boot).HadErrors, condition) };
            new BootSector(boot).Check(length);
            await RequireRegionAsync(volume, boot, cancellationToken);
            ExFatVolume found = await ExFatVolume.ReadAsync(volume, boot, cancellationToken);
            facts = facts with { Label = found.Label };
            return WithoutJournal.DoubtOf(isMarked, condition, facts.Type) is { } doubt
                ? VolumeAnalysis.AllInUse(length, facts, doubt)
                : new VolumeAnalysis(facts, found.Used, Doubt: null);
        }
        catch (InDoubtException doubt)
        {
            return VolumeAnalysis.AllInUse(length, facts, doubt.Message);
        }
    }

    private static async ValueTask RequireRegionAsync(IBlockReader volume, byte[] boot, CancellationToken cancellationToken)
    {
        int sectorSize = 1 << boot[0x6C];
        byte[] region = new byte[BootSector.RegionSectors * sectorSize];
        await VolumeBytes.ReadAsync(volume, 0, region, cancellationToken);
        int sums = (BootSector.RegionSectors - 1) * sectorSize;
        uint checksum = BootSector.RegionChecksum(region.AsSpan(0, sums));
        for (int at = sums; at < region.Length; at += sizeof(uint))
        {
            InDoubtException.Unless(ReadUInt32LittleEndian(region.AsSpan(at)) == checksum, "the exFAT boot region does not match its checksum");
        }
    }
}
