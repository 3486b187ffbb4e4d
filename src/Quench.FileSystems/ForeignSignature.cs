using Quench.Blocks;

namespace Quench.FileSystems;

/// <summary>
/// Marks that other tenants leave near the start of a volume. A superblock can outlive its file system: a RAID member, an encrypted
/// container or another file system may have been made over it without wiping it. Where such a mark stands beside a superblock, nobody
/// can say whose map is true.
/// </summary>
internal static class ForeignSignature
{
    private static readonly Mark[] s_marks =
    [
        new(0, [0xFC, 0x4E, 0x2B, 0xA9, 1, 0, 0, 0], "a Linux RAID member"),
        new(4096, [0xFC, 0x4E, 0x2B, 0xA9, 1, 0, 0, 0], "a Linux RAID member"),
        new(4096 + 24, [0xC6, 0x85, 0x73, 0xF6, 0x4E, 0x1A, 0x45, 0xCA, 0x82, 0x65, 0xF5, 0x7F, 0x48, 0xBA, 0x6D, 0x81], "a bcache device"),
    ];

    /// <summary>Names the tenant whose mark stands on a volume, as in "a LUKS container"; null when there is none.</summary>
    public static async ValueTask<string?> FindAsync(IBlockReader volume, CancellationToken cancellationToken)
    {
        byte[] start = new byte[Math.Min(s_marks.Max(mark => mark.End), volume.Geometry.Length)];
        await VolumeBytes.ReadAsync(volume, 0, start, cancellationToken);
        foreach (Mark mark in s_marks)
        {
            if (mark.End <= start.Length && start.AsSpan(mark.Offset, mark.Bytes.Length).SequenceEqual(mark.Bytes))
            {
                return mark.Tenant;
            }
        }

        return null;
    }

    private sealed record Mark(int Offset, byte[] Bytes, string Tenant)
    {
        public int End => Offset + Bytes.Length;
    }
}
