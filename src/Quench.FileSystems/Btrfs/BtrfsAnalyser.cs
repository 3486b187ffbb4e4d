using Quench.Blocks;

namespace Quench.FileSystems.Btrfs;

/// <summary>The used-block map of btrfs on one device. What it knows and refuses is in the README of this room.</summary>
internal sealed class BtrfsAnalyser : IFileSystemAnalyser
{
    /// <inheritdoc/>
    public string Name => "btrfs";

    /// <inheritdoc/>
    public string Tenant => "a btrfs file system";

    /// <inheritdoc/>
    public async ValueTask<VolumeAnalysis?> TryAnalyseAsync(IBlockReader volume, VolumeCondition condition, CancellationToken cancellationToken)
    {
        byte[] superblock = new byte[Superblock.Size];
        if (!await TryReadAsync(volume, Superblock.Places[0], superblock, cancellationToken))
        {
            return null;
        }

        long length = volume.Geometry.Length;
        FileSystemFacts facts = new Superblock(superblock).Facts(condition);
        try
        {
            Layout layout = Layout.From(new Superblock(superblock), length);
            await RequireNewestAsync(volume, layout, superblock, cancellationToken);
            return new VolumeAnalysis(facts, await Trees.DrawAsync(layout, volume, cancellationToken), Doubt: null);
        }
        catch (InDoubtException doubt)
        {
            return VolumeAnalysis.AllInUse(length, facts, doubt.Message);
        }
    }

    /// <summary>Linux mounts by the first superblock alone. A newer copy of it was written by a commit that this volume shows the middle of, or beside which the first was lost.</summary>
    private static async ValueTask RequireNewestAsync(IBlockReader volume, Layout layout, byte[] superblock, CancellationToken cancellationToken)
    {
        byte[] copy = new byte[Superblock.Size];
        for (int index = 1; index < Superblock.Places.Length && Superblock.Places[index] + Superblock.Size <= layout.DeviceLength; index++)
        {
            bool isNewer = await TryReadAsync(volume, Superblock.Places[index], copy, cancellationToken) && IsNewer(copy, superblock, Superblock.Places[index]);
            InDoubtException.Unless(!isNewer, $"a copy of the btrfs superblock, at {Superblock.Places[index]}, is newer than the superblock");
        }
    }

    private static bool IsNewer(byte[] copy, byte[] superblock, long place)
    {
        Superblock other = new(copy);
        Superblock first = new(superblock);
        return other.HasRightChecksum && other.Place == place && other.Uuid.SequenceEqual(first.Uuid) && other.Generation > first.Generation;
    }

    /// <summary>Reads a superblock; false when there is none.</summary>
    private static async ValueTask<bool> TryReadAsync(IBlockReader volume, long place, byte[] into, CancellationToken cancellationToken) =>
        await VolumeBytes.TryReadAsync(volume, place, into, cancellationToken) && new Superblock(into).HasMagic;
}
