using System.Text;
using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.Snapshots.Writes;

/// <summary>
/// What the programs put into the ring: an event, or one part of a file's path, told apart by the first word. Little-endian, as all processors are that this runs on.
/// <code>
///     0       4        8       16       24      32      40      44     48     52    56       60      64    80
///     ├ 1 ────┼ op ────┼ time ─┼ offset ┼ bytes ┼ inode ┼ fs ───┼ gen ─┼ kind ┼ how ┼ process┼ flags ┼ name ┤
///     ├ 2 ────┼ is root┼ time ─┼ inode ─┼ fs ───┼ gen (28) ─┼ depth (32) ┼ ─ (36) ┼ text, ends with 0 (40) … 296 ┤
/// </code>
/// Offset: bytes from the volume's start, below 0 for a request that begins before it. Time: nanoseconds of the monotonic clock; all parts of one path have the same.
/// </summary>
internal readonly ref struct WriteRecord(ReadOnlySpan<byte> bytes)
{
    public const int EventBytes = 80;
    public const int PathBytes = 296;
    public const int TextAt = 40;
    public const int TextBytes = PathBytes - TextAt;
    public const int NameBytes = 16;
    public const int Event = 1;
    public const int PathPart = 2;

    // What the data of a request belongs to.
    public const int NoFile = 0;
    public const int File = 1;
    public const int DeviceCache = 2;

    // Who is named.
    public const int Sender = 0;
    public const int PageWriter = 1;
    public const int FileWriter = 2;
    public const int Nobody = 3;

    // Flags of who.
    public const int IsKernel = 1;
    public const int IsSent = 2; // in the table of pages only: the page has been sent to the disk since it was noted

    private readonly ReadOnlySpan<byte> _bytes = bytes;

    public bool IsPath => _bytes.Length == PathBytes && ReadInt32LittleEndian(_bytes) == PathPart;

    public bool IsEvent => _bytes.Length == EventBytes && ReadInt32LittleEndian(_bytes) == Event;

    public int Operation => ReadInt32LittleEndian(_bytes[4..]);

    public ulong Time => ReadUInt64LittleEndian(_bytes[8..]);

    public long Offset => ReadInt64LittleEndian(_bytes[16..]);

    public long Bytes => ReadInt64LittleEndian(_bytes[24..]);

    public FileKey EventFile => new(ReadUInt64LittleEndian(_bytes[32..]), ReadUInt32LittleEndian(_bytes[40..]), ReadUInt32LittleEndian(_bytes[44..]));

    public int Kind => ReadInt32LittleEndian(_bytes[48..]);

    public int How => ReadInt32LittleEndian(_bytes[52..]);

    public int Process => ReadInt32LittleEndian(_bytes[56..]);

    public bool ByKernel => (ReadInt32LittleEndian(_bytes[60..]) & IsKernel) != 0;

    public ReadOnlySpan<byte> Name => _bytes.Slice(64, NameBytes);

    public bool IsRoot => ReadInt32LittleEndian(_bytes[4..]) != 0;

    public FileKey PathFile => new(ReadUInt64LittleEndian(_bytes[16..]), ReadUInt32LittleEndian(_bytes[24..]), ReadUInt32LittleEndian(_bytes[28..]));

    public int Depth => ReadInt32LittleEndian(_bytes[32..]);

    public string Text => ToText(_bytes[TextAt..]);

    /// <summary>Bytes up to the first 0, as text; what is no UTF-8 shows as the replacement character.</summary>
    public static string ToText(ReadOnlySpan<byte> bytes)
    {
        int end = bytes.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? bytes : bytes[..end]);
    }
}

/// <summary>What makes a file one and the same while it is watched: a number may be used again by another file, which then has another generation.</summary>
/// <param name="Inode">The inode's number.</param>
/// <param name="FileSystem">The file system's number.</param>
/// <param name="Generation">The inode's generation.</param>
internal readonly record struct FileKey(ulong Inode, uint FileSystem, uint Generation);
