using System.Text;
using Quench.Blocks;
using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.FileSystems.Containers;

// The label of an LVM physical volume, in one of its first four sectors; little-endian. (LVM2, lib/format_text/layout.h and lib/label/label.h)
//
//     0x00  "LABELONE" ┬ its sector (8) ┬ crc ┬ offset of the next ┬ "LVM2 001"
//     0x20  uuid (32 letters) ┬ device size (8)

/// <summary>An LVM physical volume: recognised, said, and kept whole, because what is in use is known to its logical volumes.</summary>
internal sealed class LvmAnalyser : IFileSystemAnalyser
{
    private const int Sector = 512;
    private const int Sectors = 4;

    /// <inheritdoc/>
    public string Name => "lvm";

    /// <inheritdoc/>
    public string Tenant => "an LVM physical volume";

    /// <inheritdoc/>
    public async ValueTask<VolumeAnalysis?> TryAnalyseAsync(IBlockReader volume, VolumeCondition condition, CancellationToken cancellationToken)
    {
        long length = volume.Geometry.Length;
        byte[] start = new byte[Math.Min(length / Sector, Sectors) * Sector];
        await VolumeBytes.ReadAsync(volume, 0, start, cancellationToken);
        for (int at = 0; at < start.Length; at += Sector)
        {
            if (start.AsSpan(at, 8).SequenceEqual("LABELONE"u8))
            {
                return VolumeAnalysis.AllInUse(
                    length, Facts(start.AsSpan(at, Sector), length), "the volume is an LVM physical volume, whose free blocks show only in its logical volumes");
            }
        }

        return null;
    }

    private static FileSystemFacts Facts(ReadOnlySpan<byte> label, long length)
    {
        uint offset = ReadUInt32LittleEndian(label[0x14..]);
        bool isKnown = label.Slice(0x18, 8).SequenceEqual("LVM2 001"u8) && offset <= Sector - 40;
        string uuid = isKnown ? Hyphenated(Encoding.ASCII.GetString(label.Slice((int)offset, 32))) : "";
        return new FileSystemFacts("lvm2", "", uuid, Sector, length, FileSystemState.Clean);
    }

    /// <summary>As LVM's own tools show it: 6-4-4-4-4-4-6.</summary>
    private static string Hyphenated(string text) =>
        string.Join('-', text[..6], text[6..10], text[10..14], text[14..18], text[18..22], text[22..26], text[26..]);
}
