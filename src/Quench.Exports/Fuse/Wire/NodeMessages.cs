using System.Buffers.Binary;
using System.Text;

namespace Quench.Exports.Fuse.Wire;

/// <summary>Replies about nodes: attributes, entries, opens, directory listings. (linux/fuse.h)</summary>
/// <remarks>
/// <code>
/// attr (88)    ino ─ size ─ blocks ─ atime ─ mtime ─ ctime (8 each) ─ 3 × nsec ─ mode ─ nlink ─ uid ─ gid ─ rdev ─ blksize ─ flags (4 each)
/// attr_out     valid (8) ─ valid nsec (4) ─ pad (4) ─ attr
/// entry_out    node (8) ─ generation (8) ─ entry valid (8) ─ attr valid (8) ─ 2 × nsec (4) ─ attr
/// open_out     handle (8) ─ flags (4) ─ pad (4)
/// dirent       ino (8) ─ next offset (8) ─ name length (4) ─ type (4) ─ name, padded to 8
/// </code>
/// </remarks>
internal static class NodeMessages
{
    internal const int AttributesSize = 88;
    internal const int AttributesReplySize = 16 + AttributesSize;
    internal const int EntryReplySize = 40 + AttributesSize;
    internal const int OpenReplySize = 16;
    internal const int StatFsReplySize = 80;
    internal const int WriteReplySize = 8;

    /// <summary>No page cache between the file and us.</summary>
    internal const uint OpenDirectIo = 1;

    /// <summary>No flush request at close.</summary>
    internal const uint OpenNoFlush = 1 << 5;

    /// <summary>Direct writes to one file may run side by side.</summary>
    internal const uint OpenParallelDirectWrites = 1 << 6;

    private const uint DirectoryMode = 0x4000 | 0x140;
    private const uint FileMode = 0x8000;
    private const uint OwnerRead = 0x100;
    private const uint OwnerWrite = 0x80;
    private const long LongTime = 3600;

    internal static void WriteAttributesReply(Span<byte> reply, ulong node, IFuseFile? file)
    {
        reply[..AttributesReplySize].Clear();
        BinaryPrimitives.WriteInt64LittleEndian(reply, LongTime);
        WriteAttributes(reply[16..], node, file);
    }

    internal static void WriteEntryReply(Span<byte> reply, ulong node, IFuseFile file)
    {
        reply[..EntryReplySize].Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(reply, node);
        BinaryPrimitives.WriteInt64LittleEndian(reply[24..], LongTime); // names come and go (entry valid stays 0), sizes never change
        WriteAttributes(reply[40..], node, file);
    }

    internal static void WriteOpenReply(Span<byte> reply, uint flags)
    {
        reply[..OpenReplySize].Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(reply[8..], flags);
    }

    /// <summary>Adds one entry to a listing.</summary>
    /// <returns>Bytes used; 0 when the room is too small for it.</returns>
    internal static int WriteDirectoryEntry(Span<byte> room, ulong node, ulong nextOffset, string name, bool isDirectory)
    {
        int nameLength = Encoding.UTF8.GetByteCount(name);
        int size = (24 + nameLength + 7) & ~7;
        if (size > room.Length)
        {
            return 0;
        }

        room[..size].Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(room, node);
        BinaryPrimitives.WriteUInt64LittleEndian(room[8..], nextOffset);
        BinaryPrimitives.WriteInt32LittleEndian(room[16..], nameLength);
        BinaryPrimitives.WriteInt32LittleEndian(room[20..], isDirectory ? 4 : 8);
        Encoding.UTF8.GetBytes(name, room[24..]);
        return size;
    }

    private static void WriteAttributes(Span<byte> attributes, ulong node, IFuseFile? file)
    {
        uint mode = file is null ? DirectoryMode : FileMode | OwnerRead | (file.IsWritable ? OwnerWrite : 0);
        long length = file?.Length ?? 0;
        BinaryPrimitives.WriteUInt64LittleEndian(attributes, node);
        BinaryPrimitives.WriteInt64LittleEndian(attributes[8..], length);
        BinaryPrimitives.WriteInt64LittleEndian(attributes[16..], (length / 512) + (length % 512 == 0 ? 0 : 1));
        BinaryPrimitives.WriteUInt32LittleEndian(attributes[60..], mode);
        BinaryPrimitives.WriteUInt32LittleEndian(attributes[64..], file is null ? 2u : 1u);
        BinaryPrimitives.WriteUInt32LittleEndian(attributes[80..], 4096);
    }
}
