using System.Buffers.Binary;
using System.Text;
using Quench.Blocks;
using Quench.Exports.Fuse.Wire;
using Quench.Interop.Fuse;
using Quench.Interop.Linux;
using Quench.Interop.Memory;

namespace Quench.Exports.Fuse;

/// <content>The threads: one request at a time each, from read(2) to write(2).</content>
public sealed partial class FuseSession
{
    private const int ReplyHeaderSize = 16;

    /// <summary>Agrees with the kernel on sizes and features. The first request of every connection is this one.</summary>
    private void Handshake()
    {
        byte[] buffer = new byte[PageSize + MaxTransfer + PageSize];
        int count = Receive(buffer);
        if (count < RequestHeader.Size)
        {
            throw new LinuxErrorException(count < 0 ? (Errno)(-count) : Errno.EIO, "start serving", _directory);
        }

        RequestHeader header = new(buffer);
        ReadOnlySpan<byte> arguments = buffer.AsSpan(RequestHeader.Size, count - RequestHeader.Size);
        int minor = InitMessage.ReadMinor(arguments);
        ulong offered = InitMessage.ReadFlags(arguments);
        const ulong Wanted = InitMessage.AsyncDirectIo | InitMessage.MaxPages;
        if (header.Opcode != FuseOpcode.Init || InitMessage.ReadMajor(arguments) != InitMessage.Major || minor < InitMessage.MinorMin
            || (offered & Wanted) != Wanted)
        {
            throw new NotSupportedException($"this kernel speaks FUSE 7.{minor}; Quench needs 7.{InitMessage.MinorMin} with asynchronous direct I/O");
        }

        byte[] reply = new byte[ReplyHeaderSize + InitMessage.ReplySize];
        InitMessage.WriteReply(
            reply.AsSpan(ReplyHeaderSize), Math.Min(minor, InitMessage.MinorMax), Wanted, MaxBackground, MaxTransfer, MaxTransfer / PageSize);
        Reply(reply, header.Unique, InitMessage.ReplySize);
    }

    private void Serve()
    {
        using NativeBuffer buffer = new(PageSize + MaxTransfer + PageSize, locked: true);
        while (true)
        {
            int count = Receive(buffer.GetSpan()[HeaderOffset..]);
            if (count < 0)
            {
                if (!_ended && count != -(int)Errno.ENODEV)
                {
                    _report(new LinuxErrorException((Errno)(-count), "receive requests for", _directory));
                }

                return;
            }

            Answer(buffer, count);
        }
    }

    /// <summary>Waits for one request; the transient refusals of fuse(4) are tried again here.</summary>
    private int Receive(Span<byte> into)
    {
        while (true)
        {
            int count = FuseDevice.Receive(_connection, into);
            if (count is not (-(int)Errno.ENOENT or -(int)Errno.EINTR or -(int)Errno.EAGAIN))
            {
                return count;
            }
        }
    }

    private void Answer(NativeBuffer buffer, int count)
    {
        Span<byte> page = buffer.GetSpan();
        ReadOnlySpan<byte> request = page.Slice(HeaderOffset, count);
        RequestHeader header = new(request);
        ulong unique = header.Unique;
        if (header.Opcode is FuseOpcode.Forget or FuseOpcode.BatchForget or FuseOpcode.Interrupt)
        {
            return; // these have no reply: we keep no reference counts, and every request ends by itself soon
        }

        Span<byte> reply = page[(PageSize - ReplyHeaderSize)..];
        int result;
        try
        {
            result = Perform(header.Opcode, header.Node, request[RequestHeader.Size..], page[PageSize..], reply[ReplyHeaderSize..]);
        }
        catch (LinuxErrorException failure)
        {
            _report(failure);
            result = -(int)failure.Errno;
        }
#pragma warning disable CA1031 // whatever went wrong in a file, the kernel must get its answer: EIO, and the report says why
        catch (Exception failure)
        {
            _report(failure);
            result = -(int)Errno.EIO;
        }
#pragma warning restore CA1031

        Reply(reply, unique, result);
    }

    /// <summary>Does one request.</summary>
    /// <returns>Bytes of reply after its header, or the negative error number.</returns>
    private int Perform(FuseOpcode opcode, ulong node, ReadOnlySpan<byte> arguments, Span<byte> payload, Span<byte> reply) => opcode switch
    {
        FuseOpcode.Read => Read(node, arguments, payload),
        FuseOpcode.Write => Write(node, arguments, payload, reply),
        FuseOpcode.Sync => Sync(node),
        FuseOpcode.Allocate => Allocate(node, arguments),
        FuseOpcode.Lookup => LookUp(node, arguments, reply),
        FuseOpcode.GetAttributes or FuseOpcode.SetAttributes => GetAttributes(opcode, node, arguments, reply),
        FuseOpcode.Open => Open(node, arguments, reply),
        FuseOpcode.OpenDirectory => OpenDirectory(node, reply),
        FuseOpcode.ReadDirectory => ReadDirectory(arguments, payload),
        FuseOpcode.StatFs => StatFs(reply),
        FuseOpcode.Release or FuseOpcode.ReleaseDirectory or FuseOpcode.Flush or FuseOpcode.Access or FuseOpcode.Destroy => 0,
        _ => -(int)Errno.ENOSYS,
    };

    private int Read(ulong node, ReadOnlySpan<byte> arguments, Span<byte> payload)
    {
        TransferArguments read = new(arguments);
        long offset = read.Offset;
        if (Find(node) is not { } file)
        {
            return -(int)Errno.ENODEV;
        }

        int length = (int)Math.Clamp(file.Length - offset, 0, Math.Min(read.Length, MaxTransfer));
        if (length > 0)
        {
            file.Read(offset, payload[..length]);
        }

        return length;
    }

    private int Write(ulong node, ReadOnlySpan<byte> arguments, Span<byte> payload, Span<byte> reply)
    {
        TransferArguments write = new(arguments);
        int length = write.Length;
        long offset = write.Offset;
        if (Find(node) is not { } file)
        {
            return -(int)Errno.ENODEV;
        }

        if (offset < 0 || offset > file.Length - length)
        {
            return -(int)Errno.EFBIG;
        }

        file.Write(offset, payload[..length]);
        reply[..NodeMessages.WriteReplySize].Clear();
        BinaryPrimitives.WriteInt32LittleEndian(reply, length);
        return NodeMessages.WriteReplySize;
    }

    private int Sync(ulong node)
    {
        Find(node)?.Flush();
        return 0;
    }

    private int Allocate(ulong node, ReadOnlySpan<byte> arguments)
    {
        AllocateArguments allocate = new(arguments);
        if (Find(node) is not { } file)
        {
            return -(int)Errno.ENODEV;
        }

        if (allocate.Offset < 0 || allocate.Length < 0 || allocate.Offset > file.Length - allocate.Length)
        {
            return -(int)Errno.EINVAL;
        }

        Extent range = new(allocate.Offset, allocate.Length);
        switch (allocate.Mode)
        {
            case AllocateArguments.PunchHole | AllocateArguments.KeepSize:
                file.PunchHole(range);
                return 0;
            case AllocateArguments.ZeroRange | AllocateArguments.KeepSize:
            case AllocateArguments.ZeroRange:
                file.ZeroRange(range);
                return 0;
            default:
                return -(int)Errno.EOPNOTSUPP;
        }
    }

    private int LookUp(ulong node, ReadOnlySpan<byte> arguments, Span<byte> reply)
    {
        string name = Encoding.UTF8.GetString(arguments.TrimEnd((byte)0));
        Entry?[] entries = _entries;
        int at = node == RootNode ? Array.FindLastIndex(entries, entry => entry?.Name == name) : -1;
        if (at < 0)
        {
            return -(int)Errno.ENOENT;
        }

        NodeMessages.WriteEntryReply(reply, (ulong)at + 2, entries[at]!.File);
        return NodeMessages.EntryReplySize;
    }

    private int GetAttributes(FuseOpcode opcode, ulong node, ReadOnlySpan<byte> arguments, Span<byte> reply)
    {
        const int SetsSize = 1 << 3; // FATTR_SIZE
        if (opcode == FuseOpcode.SetAttributes && (BinaryPrimitives.ReadInt32LittleEndian(arguments) & SetsSize) != 0)
        {
            return -(int)Errno.EPERM; // a disk keeps its length
        }

        IFuseFile? file = Find(node);
        if (file is null && node != RootNode)
        {
            return -(int)Errno.ENOENT;
        }

        NodeMessages.WriteAttributesReply(reply, node, file);
        return NodeMessages.AttributesReplySize;
    }

    private int Open(ulong node, ReadOnlySpan<byte> arguments, Span<byte> reply)
    {
        const int AccessMask = 3;
        if (Find(node) is not { } file)
        {
            return -(int)Errno.ENOENT;
        }

        if ((BinaryPrimitives.ReadInt32LittleEndian(arguments) & AccessMask) != 0 && !file.IsWritable)
        {
            return -(int)Errno.EROFS;
        }

        NodeMessages.WriteOpenReply(
            reply, NodeMessages.OpenDirectIo | NodeMessages.OpenNoFlush | NodeMessages.OpenParallelDirectWrites);
        return NodeMessages.OpenReplySize;
    }

    private static int OpenDirectory(ulong node, Span<byte> reply)
    {
        NodeMessages.WriteOpenReply(reply, 0);
        return node == RootNode ? NodeMessages.OpenReplySize : -(int)Errno.ENOTDIR;
    }

    private int ReadDirectory(ReadOnlySpan<byte> arguments, Span<byte> payload)
    {
        TransferArguments read = new(arguments);
        Entry?[] entries = _entries;
        Span<byte> room = payload[..Math.Min(read.Length, MaxTransfer)];
        int used = 0;
        for (long at = read.Offset; at < entries.Length; at++)
        {
            if (entries[at] is { } entry)
            {
                int size = NodeMessages.WriteDirectoryEntry(room[used..], (ulong)at + 2, (ulong)at + 1, entry.Name, isDirectory: false);
                if (size == 0)
                {
                    break;
                }

                used += size;
            }
        }

        return used;
    }

    private static int StatFs(Span<byte> reply)
    {
        reply[..NodeMessages.StatFsReplySize].Clear();
        BinaryPrimitives.WriteInt32LittleEndian(reply[40..], PageSize); // block size
        BinaryPrimitives.WriteInt32LittleEndian(reply[44..], 255);      // longest name
        return NodeMessages.StatFsReplySize;
    }

    /// <summary>Sends the header and what follows it. (linux/fuse.h, struct fuse_out_header: length (4) ─ error (4) ─ unique (8))</summary>
    private void Reply(Span<byte> reply, ulong unique, int result)
    {
        int length = ReplyHeaderSize + Math.Max(result, 0);
        BinaryPrimitives.WriteInt32LittleEndian(reply, length);
        BinaryPrimitives.WriteInt32LittleEndian(reply[4..], Math.Min(result, 0));
        BinaryPrimitives.WriteUInt64LittleEndian(reply[8..], unique);
        int sent = FuseDevice.Send(_connection, reply[..length]);
        if (sent < 0 && sent != -(int)Errno.ENOENT && sent != -(int)Errno.ENODEV)
        {
            _report(new LinuxErrorException((Errno)(-sent), "reply for", _directory));
        }
    }
}
