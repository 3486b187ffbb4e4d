using System.Buffers.Binary;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Exports.Fuse.Wire;
using Quench.Interop.Fuse;
using Quench.Interop.Linux;
using Quench.Interop.Memory;

namespace Quench.Exports.Fuse;

/// <content>The threads: one request at a time each, from read(2) to write(2).</content>
public sealed partial class FuseSession
{
    /// <summary>Waits for one request; the transient refusals of fuse(4) are tried again here.</summary>
    internal static int Receive(SafeFileHandle connection, Span<byte> into)
    {
        while (true)
        {
            int count = FuseDevice.Receive(connection, into);
            if (count is not (-(int)Errno.ENOENT or -(int)Errno.EINTR or -(int)Errno.EAGAIN))
            {
                return count;
            }
        }
    }

    private void Serve(int number)
    {
        NativeBuffer buffer = _buffers[number];
        ref long atWork = ref _atWork[number * CellsInLine];
        while (true)
        {
            int count = Receive(_connection, buffer.GetSpan()[HeaderOffset..]);
            if (count < RequestHeader.Size)
            {
                if (!_ended && count is not (0 or -(int)Errno.ENODEV))
                {
                    _report(new LinuxErrorException((Errno)(-count), "receive requests for", _directory));
                }

                return; // unmounted; 0 is a connection of ours that was closed
            }

            Interlocked.Exchange(ref atWork, 1); // before the look at _draining, for everybody
            if (_draining)
            {
                Volatile.Write(ref atWork, 0);
                _never.Wait();
            }

            _watch?.Taken(number);
            Answer(buffer, count);
            _watch?.Answered(number);
            Volatile.Write(ref atWork, 0);
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

        Span<byte> reply = page[(PageSize - ReplyHeader.Size)..];
        int result;
        try
        {
            result = Perform(header.Opcode, header.Node, request[RequestHeader.Size..], page[PageSize..], reply[ReplyHeader.Size..]);
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
        if (node != RootNode || Array.FindLast(_entries, entry => entry.Name == name) is not { } found)
        {
            return -(int)Errno.ENOENT;
        }

        NodeMessages.WriteEntryReply(reply, found.Node, found.File);
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
        int used = 0;
        Span<byte> room = payload[..Math.Min(read.Length, MaxTransfer)];
        foreach (Entry entry in _entries)
        {
            if (entry.Node <= (ulong)read.Offset)
            {
                continue; // an entry's offset is its node: listings stay whole when files come and go between two reads
            }

            int size = NodeMessages.WriteDirectoryEntry(room[used..], entry.Node, entry.Node, entry.Name, isDirectory: false);
            if (size == 0)
            {
                break;
            }

            used += size;
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

    /// <summary>Sends the header and what follows it.</summary>
    private void Reply(Span<byte> reply, ulong unique, int result)
    {
        int length = ReplyHeader.Size + Math.Max(result, 0);
        ReplyHeader.Write(reply, length, Math.Min(result, 0), unique);
        int sent = FuseDevice.Send(_connection, reply[..length]);
        if (sent < 0 && sent != -(int)Errno.ENOENT && sent != -(int)Errno.ENODEV)
        {
            _report(new LinuxErrorException((Errno)(-sent), "reply for", _directory));
        }
    }
}
