using Quench.Blocks;

namespace Quench.FileSystems;

/// <summary>Reads any bytes of a volume, whatever its sector size. Lends nothing, owns nothing; the volume stays the caller's.</summary>
internal static class VolumeBytes
{
    /// <summary>Reads exactly the buffer's length, where the volume is long enough for it.</summary>
    public static async ValueTask<bool> TryReadAsync(IBlockReader volume, long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        if (offset > volume.Geometry.Length - into.Length)
        {
            return false;
        }

        await ReadAsync(volume, offset, into, cancellationToken);
        return true;
    }

    /// <summary>Reads exactly the buffer's length from any offset inside the volume.</summary>
    public static async ValueTask ReadAsync(IBlockReader volume, long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        BlockGeometry geometry = volume.Geometry;
        Extent aligned = new Extent(offset, into.Length).AlignOut(geometry.SectorSize).Intersect(geometry.Whole);
        if (aligned.Offset == offset && aligned.Length == into.Length)
        {
            await volume.ReadAsync(offset, into, cancellationToken);
            return;
        }

        byte[] sectors = new byte[aligned.Length];
        await volume.ReadAsync(aligned.Offset, sectors, cancellationToken);
        sectors.AsMemory((int)(offset - aligned.Offset), into.Length).CopyTo(into);
    }
}
