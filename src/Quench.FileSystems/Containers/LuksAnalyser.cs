using Quench.Blocks;
using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.FileSystems.Containers;

// LUKS, both versions; big-endian. (LUKS1 On-Disk Format Specification, "The PHDR"; LUKS2 On-Disk Format Specification, "Binary Header")
//
//     0x00  "LUKS" BA BE ┬ version (2)
//     LUKS2 0x18 label (48)        both  0xA8 uuid (40, text)

/// <summary>A LUKS container: recognised, said, and kept whole, because from outside nothing tells used from free.</summary>
internal sealed class LuksAnalyser : IFileSystemAnalyser
{
    private const int HeaderSize = 512;

    /// <inheritdoc/>
    public string Name => "luks";

    /// <inheritdoc/>
    public string Tenant => "a LUKS container";

    /// <inheritdoc/>
    public async ValueTask<VolumeAnalysis?> TryAnalyseAsync(IBlockReader volume, VolumeCondition condition, CancellationToken cancellationToken)
    {
        long length = volume.Geometry.Length;
        byte[] header = new byte[HeaderSize];
        return await VolumeBytes.TryReadAsync(volume, 0, header, cancellationToken) && header.AsSpan(0, 6).SequenceEqual((ReadOnlySpan<byte>)[0x4C, 0x55, 0x4B, 0x53, 0xBA, 0xBE])
            ? VolumeAnalysis.AllInUse(length, Facts(header, length), "the volume is a LUKS container, whose free blocks show only in its open mapping")
            : null;
    }

    private static FileSystemFacts Facts(byte[] header, long length)
    {
        ushort version = ReadUInt16BigEndian(header.AsSpan(6));
        string label = version == 2 ? VolumeText.Label(header.AsSpan(0x18, 48)) : "";
        return new FileSystemFacts($"luks{version}", label, VolumeText.Label(header.AsSpan(0xA8, 40)), HeaderSize, length, FileSystemState.Clean);
    }
}
