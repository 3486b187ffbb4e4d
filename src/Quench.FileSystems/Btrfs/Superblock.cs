using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.FileSystems.Btrfs;

// The superblock: 4096 bytes at 64 KiB, its copies at 64 MiB and 256 GiB where the device is long enough; little-endian.
// (btrfs documentation, "On-disk Format", Superblock)
//
//     0x000  csum (32)
//     0x020  fsid (16) ─────────┬ bytenr (8) ────┬ flags (8)
//     0x040  magic "_BHRfS_M" ──┼ generation (8)
//     0x050  root (8) ──────────┼ chunk_root (8) ┼ log_root (8) ──┬ log_root_transid (8)
//     0x070  total_bytes (8) ───┼ bytes_used (8) ┼ root_dir (8) ──┼ num_devices (8)
//     0x090  sectorsize, nodesize, leafsize, stripesize, sys_chunk_array_size (4 each)
//     0x0A4  chunk_root_generation, compat_flags, compat_ro_flags, incompat_flags (8 each)
//     0x0C4  csum_type (2), root_level, chunk_root_level, log_root_level (1 each)
//     0x0C9  dev_item: devid, total_bytes, … (at 0x42 of it) uuid (16), fsid (16)
//     0x12B  label (256)
//     0x23B  metadata_uuid (16)
//     0x32B  sys_chunk_array (2048): keys, each followed by its chunk item
//
// The roots of up to four earlier generations stand behind it (0xB2B). What they lead to is free.
internal readonly ref struct Superblock(ReadOnlySpan<byte> bytes)
{
    public const int Size = 4096;
    public const int MagicOffset = 0x40;
    private const int DeviceItem = 0xC9;
    private const int SystemChunksOffset = 0x32B;
    public const int MostSystemChunkBytes = 2048;

    private readonly ReadOnlySpan<byte> _bytes = bytes[..Size];

    /// <summary>Where it is and where its copies are.</summary>
    public static ReadOnlySpan<long> Places => [64L << 10, 64L << 20, 256L << 30];

    public static ReadOnlySpan<byte> ExpectedMagic => "_BHRfS_M"u8;

    public bool HasMagic => _bytes.Slice(MagicOffset, ExpectedMagic.Length).SequenceEqual(ExpectedMagic);

    public ReadOnlySpan<byte> Uuid => _bytes.Slice(0x20, 16);

    public long Place => ReadInt64LittleEndian(_bytes[0x30..]);

    public SuperblockFlags Flags => (SuperblockFlags)ReadUInt64LittleEndian(_bytes[0x38..]);

    public ulong Generation => ReadUInt64LittleEndian(_bytes[0x48..]);

    public ulong RootTree => ReadUInt64LittleEndian(_bytes[0x50..]);

    public ulong ChunkTree => ReadUInt64LittleEndian(_bytes[0x58..]);

    /// <summary>The root of the log; 0 when there is none.</summary>
    public ulong LogTree => ReadUInt64LittleEndian(_bytes[0x60..]);

    public ulong BytesUsed => ReadUInt64LittleEndian(_bytes[0x78..]);

    public ulong Devices => ReadUInt64LittleEndian(_bytes[0x88..]);

    public uint SectorSize => ReadUInt32LittleEndian(_bytes[0x90..]);

    public uint NodeSize => ReadUInt32LittleEndian(_bytes[0x94..]);

    private uint SystemChunkBytes => ReadUInt32LittleEndian(_bytes[0xA0..]);

    public ulong ChunkTreeGeneration => ReadUInt64LittleEndian(_bytes[0xA4..]);

    public ReadOnlyCompatibleFeatures ReadOnlyCompatible => (ReadOnlyCompatibleFeatures)ReadUInt64LittleEndian(_bytes[0xB4..]);

    public IncompatibleFeatures Incompatible => (IncompatibleFeatures)ReadUInt64LittleEndian(_bytes[0xBC..]);

    public ChecksumKind Checksum => (ChecksumKind)ReadUInt16LittleEndian(_bytes[0xC4..]);

    public byte RootTreeLevel => _bytes[0xC6];

    public byte ChunkTreeLevel => _bytes[0xC7];

    public byte LogTreeLevel => _bytes[0xC8];

    public ulong DeviceId => ReadUInt64LittleEndian(_bytes[DeviceItem..]);

    /// <summary>Bytes of the device that the file system takes.</summary>
    public ulong DeviceLength => ReadUInt64LittleEndian(_bytes[(DeviceItem + 8)..]);

    public ReadOnlySpan<byte> DeviceUuid => _bytes.Slice(DeviceItem + 0x42, 16);

    public ReadOnlySpan<byte> DeviceFileSystem => _bytes.Slice(DeviceItem + 0x52, 16);

    public ReadOnlySpan<byte> Label => _bytes.Slice(0x12B, 256);

    /// <summary>The identifier that tree blocks carry: the file system's own, unless that was changed later.</summary>
    public ReadOnlySpan<byte> MetadataUuid => (Incompatible & IncompatibleFeatures.MetadataUuid) != 0 ? _bytes.Slice(0x23B, 16) : Uuid;

    /// <summary>The chunks that hold the chunk tree; null when they are said to be longer than their place.</summary>
    public byte[]? SystemChunks() => SystemChunkBytes <= MostSystemChunkBytes ? _bytes.Slice(SystemChunksOffset, (int)SystemChunkBytes).ToArray() : null;

    /// <summary>Whether it is as it was written. False where its checksum can't be computed here.</summary>
    public bool HasRightChecksum => BlockChecksum.IsKnown(Checksum) && BlockChecksum.IsRight(Checksum, _bytes);

    /// <summary>The facts as the superblock states them, believable or not.</summary>
    public FileSystemFacts Facts(VolumeCondition condition)
    {
        int blockSize = SectorSize <= Layout.MostNodeSize ? (int)SectorSize : 0;
        long length = DeviceLength <= long.MaxValue ? (long)DeviceLength : long.MaxValue;
        return new FileSystemFacts("btrfs", VolumeText.Label(Label), VolumeText.Uuid(Uuid), blockSize, length, State(condition));
    }

    /// <summary>
    /// Nothing on the disk tells a mounted file system from one that was unmounted: what its superblock leads to is whole at any moment. But who
    /// looks knows that it was running.
    /// </summary>
    private FileSystemState State(VolumeCondition condition) =>
        (Flags & SuperblockFlags.Error) != 0 ? FileSystemState.Unsound
        : LogTree != 0 || condition == VolumeCondition.Running ? FileSystemState.NeedsRecovery
        : FileSystemState.Clean;
}
