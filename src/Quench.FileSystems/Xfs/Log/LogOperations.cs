using System.Numerics;
using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.FileSystems.Xfs.Log;

// The data of a record: operations, each a header of 12 bytes and its payload. (XFS Algorithms & Data Structures, "Log Operations")
//
//     tid (4) ┬ len (4) ┬ clientid (1) ┬ flags (1) ┬ reserved (2)
//
// A transaction is START, a header "TRAN", items, COMMIT. An item is its format and then as many payloads as that says, less one. Of a buffer:
//
//     type 0x123C (2) ┬ size: operations ┬ flags ┬ len: basic blocks ┬ blkno (8) ┬ words of the map ┬ map: a bit for each logged 128 bytes
//
// This reader knows one kind of transaction: one that changes nothing but the superblock's counters. Whatever else stands there is pending work.
internal ref struct LogOperations(ReadOnlySpan<byte> data, uint operations, ReadOnlySpan<byte> superblock)
{
    private const int HeaderSize = 12;
    private const int Start = 0x01;
    private const int Commit = 0x02;
    private const int Unmount = 0x20;
    private const uint TransactionMagic = 0x5452414E;
    private const int TransactionHeaderSize = 16;
    private const ushort BufferItem = 0x123C;
    private const int BufferFormatSize = 24;
    private const int Piece = 128;

    private readonly ReadOnlySpan<byte> _superblock = superblock;
    private ReadOnlySpan<byte> _data = data;
    private ReadOnlySpan<byte> _payload;
    private uint _left = operations;
    private int _flags;

    /// <summary>Whether the one operation says that the file system was unmounted.</summary>
    public bool AreUnmount() => _left == 1 && MoveNext() && _flags == Unmount;

    /// <summary>Whether all operations are whole transactions that change the superblock's counters alone.</summary>
    public bool ChangeCountersOnly()
    {
        while (_left > 0)
        {
            if (!TryTakeTransaction())
            {
                return false;
            }
        }

        return true;
    }

    private bool TryTakeTransaction()
    {
        bool begins = MoveNext() && _flags == Start && _payload.IsEmpty && MoveNext() && IsTransactionHeader();
        while (begins && MoveNext())
        {
            if (_flags == Commit && _payload.IsEmpty)
            {
                return true;
            }

            if (_flags != 0 || !TryTakeSuperblockItem())
            {
                return false;
            }
        }

        return false;
    }

    private readonly bool IsTransactionHeader() => _flags == 0 && _payload.Length == TransactionHeaderSize && ReadUInt32LittleEndian(_payload) == TransactionMagic;

    /// <summary>Takes the payloads of a buffer item of the superblock's sector; false when it is something else.</summary>
    private bool TryTakeSuperblockItem()
    {
        ReadOnlySpan<byte> format = _payload;
        bool isSuperblock = format.Length == BufferFormatSize && ReadUInt16LittleEndian(format) == BufferItem && ReadInt64LittleEndian(format[8..]) == 0
            && ReadUInt16LittleEndian(format[6..]) * Layout.BasicBlock == _superblock.Length && ReadUInt32LittleEndian(format[16..]) == 1;
        if (!isSuperblock)
        {
            return false;
        }

        int operations = ReadUInt16LittleEndian(format[2..]);
        uint map = ReadUInt32LittleEndian(format[20..]);
        int at = 0;
        for (int index = 1; index < operations; index++)
        {
            at += BitOperations.TrailingZeroCount(map >> at);
            if (at >= 32 || !MoveNext() || _flags != 0 || _payload.IsEmpty || !ChangesCountersOnly(at * Piece))
            {
                return false;
            }

            at += (_payload.Length + Piece - 1) / Piece;
        }

        return true;
    }

    private readonly bool ChangesCountersOnly(int offset)
    {
        if (_payload.Length > _superblock.Length - offset)
        {
            return false;
        }

        for (int index = 0; index < _payload.Length; index++)
        {
            if (_payload[index] != _superblock[offset + index] && !Superblock.IsCounter(offset + index))
            {
                return false;
            }
        }

        return true;
    }

    private bool MoveNext()
    {
        if (_left == 0 || _data.Length < HeaderSize)
        {
            return false;
        }

        uint length = ReadUInt32BigEndian(_data[4..]);
        _flags = _data[9];
        if (length > _data.Length - HeaderSize)
        {
            return false;
        }

        _left--;
        _payload = _data.Slice(HeaderSize, (int)length);
        _data = _data[(HeaderSize + (int)length)..];
        return true;
    }
}
