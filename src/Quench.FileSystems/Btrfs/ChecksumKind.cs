namespace Quench.FileSystems.Btrfs;

/// <summary>The checksum over superblock and tree blocks, by the number that the superblock states.</summary>
internal enum ChecksumKind
{
    Crc32C = 0,
    XxHash64 = 1,
    Sha256 = 2,
    Blake2b = 3,
}
