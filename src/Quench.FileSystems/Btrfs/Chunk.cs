using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Btrfs;

// A run of logical addresses and where on the device it is. (btrfs documentation, "On-disk Format", CHUNK_ITEM)
//
//     0x00  length (8) ───────┬ owner (8) ─────┬ stripe_len (8) ┬ type (8)
//     0x20  io_align, io_width, sector_size (4 each) ───────────┬ num_stripes (2) ┬ sub_stripes (2)
//     0x30  for each stripe: devid (8), offset (8), dev_uuid (16)

/// <summary>A run of logical addresses, once or twice on this device.</summary>
/// <param name="Logical">Its first address.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Types">What it holds.</param>
/// <param name="First">Where it is on the device.</param>
/// <param name="Second">Where its other copy is; negative when it has none.</param>
internal readonly record struct Chunk(long Logical, long Length, ChunkTypes Types, long First, long Second)
{
    public const int HeaderSize = 0x30;
    public const int StripeSize = 32;
    private const ulong StripeLength = 65536;

    public long End => Logical + Length;

    /// <summary>Bytes that an item of so many stripes takes.</summary>
    public static int SizeOf(ReadOnlySpan<byte> item) => HeaderSize + (ReadUInt16LittleEndian(item[0x2C..]) * StripeSize);

    /// <summary>What an item says of the chunk at an address.</summary>
    /// <exception cref="InDoubtException">It lies on other devices, in a manner not known here, or in an impossible place.</exception>
    public static Chunk FromItem(Layout layout, ulong logical, ReadOnlySpan<byte> item)
    {
        Unless(item.Length >= HeaderSize && item.Length == SizeOf(item), $"the btrfs chunk at {logical} is cut off");
        ChunkTypes types = (ChunkTypes)ReadUInt64LittleEndian(item[0x18..]);
        bool isDouble = RequireProfile(logical, types, ReadUInt16LittleEndian(item[0x2C..]));
        ulong length = ReadUInt64LittleEndian(item);
        ulong mask = (ulong)layout.SectorSize - 1;
        bool possible = length is > 0 and <= Layout.MostPlace && logical <= Layout.MostPlace && ((length | logical) & mask) == 0
            && ReadUInt64LittleEndian(item[0x10..]) == StripeLength;
        Unless(possible, $"the btrfs chunk at {logical} has an impossible place or length");
        long first = StripeOf(layout, logical, length, item[HeaderSize..]);
        long second = isDouble ? StripeOf(layout, logical, length, item[(HeaderSize + StripeSize)..]) : -1;
        return new Chunk((long)logical, (long)length, types & ChunkTypes.Contents, first, second);
    }

    private static bool RequireProfile(ulong logical, ChunkTypes types, int stripes)
    {
        ChunkTypes contents = types & ChunkTypes.Contents;
        Unless(contents is ChunkTypes.System or ChunkTypes.Data or ChunkTypes.Metadata or (ChunkTypes.Data | ChunkTypes.Metadata), $"the btrfs chunk at {logical} holds nothing known here (type 0x{(ulong)types:x})");
        ChunkTypes profile = types & ~ChunkTypes.Contents;
        bool known = profile switch
        {
            ChunkTypes.None or ChunkTypes.Raid0 => stripes == 1, // striped over one device is not striped
            ChunkTypes.Duplicate => stripes == 2,
            _ => false,
        };
        Unless(known, $"the btrfs chunk at {logical} is of a profile not read here (type 0x{(ulong)types:x}, {stripes} stripes)");
        return profile == ChunkTypes.Duplicate;
    }

    private static long StripeOf(Layout layout, ulong logical, ulong length, ReadOnlySpan<byte> stripe)
    {
        bool here = ReadUInt64LittleEndian(stripe) == layout.DeviceId && stripe.Slice(16, 16).SequenceEqual(layout.DeviceUuid);
        Unless(here, $"the btrfs chunk at {logical} lies on another device");
        ulong offset = ReadUInt64LittleEndian(stripe[8..]);
        bool inside = offset <= Layout.MostPlace && (offset & ((ulong)layout.SectorSize - 1)) == 0 && offset + length <= (ulong)layout.DeviceLength;
        Unless(inside, $"the btrfs chunk at {logical} lies outside of the device");
        return (long)offset;
    }
}
