using System.Buffers.Binary;
using Quench.FileSystems;

namespace Quench.Tests.FileSystems;

/// <summary>A structure of a volume that has a checksum of its own (CRC-32C) within it.</summary>
internal sealed record SealedStructure(int At, int Length, int Checksum)
{
    /// <summary>Where the checksum stands.</summary>
    public Span<byte> ChecksumIn(byte[] image) => image.AsSpan(At + Checksum, sizeof(uint));

    /// <summary>Makes the checksum right.</summary>
    public void Seal(byte[] image) => BinaryPrimitives.WriteUInt32LittleEndian(ChecksumIn(image), Crc32c.OfStructure(image.AsSpan(At, Length), Checksum));
}
