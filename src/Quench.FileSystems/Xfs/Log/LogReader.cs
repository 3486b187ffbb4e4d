using Quench.Blocks;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Xfs.Log;

/// <summary>Finds out whether the log holds anything that the volume does not have in its place yet. Replays nothing.</summary>
internal sealed class LogReader
{
    /// <summary>How long a log may be read for superblock changes alone: a freeze leaves two records.</summary>
    private const int MostBlocks = 8192;

    private readonly Layout _layout;
    private readonly LogArea _log;
    private readonly LogHead _head;
    private readonly byte[] _superblock;
    private readonly byte[] _record;

    private LogReader(Layout layout, LogArea log, LogHead head, byte[] superblock)
    {
        _layout = layout;
        _log = log;
        _head = head;
        _superblock = superblock;
        _record = new byte[(int)Math.Min(LogRecord.MostBytes, log.Count * Layout.BasicBlock)];
    }

    /// <summary>Reads the log from its tail to its head.</summary>
    /// <param name="layout">Checked.</param>
    /// <param name="volume">Lent.</param>
    /// <param name="superblock">The superblock's whole sector as it is in its place.</param>
    /// <param name="cancellationToken">Gives up between reads.</param>
    /// <exception cref="InDoubtException">It is not the log of a file system that stopped in order.</exception>
    public static async ValueTask<LogState> ReadAsync(Layout layout, IBlockReader volume, byte[] superblock, CancellationToken cancellationToken)
    {
        LogArea log = new(layout, volume);
        LogHead head = await LogHead.FindAsync(log, cancellationToken);
        return head.Cycle == 0 ? LogState.Clean : await new LogReader(layout, log, head, superblock).ReadAsync(cancellationToken);
    }

    private async ValueTask<LogState> ReadAsync(CancellationToken cancellationToken)
    {
        long last = await FindLastAsync(cancellationToken);
        await TakeAsync(last, cancellationToken);
        if (IsUnmount())
        {
            return LogState.Clean;
        }

        ulong tail = new LogRecord(_record).TailLsn;
        long index = (long)(tail & uint.MaxValue);
        Unless(index < _log.Count && tail >> 32 == _head.CycleAt(index), "the XFS log states a tail that is not there");
        long left = (_head.Index - index + _log.Count - 1) % _log.Count + 1;
        while (left > 0 && left <= MostBlocks)
        {
            int blocks = await TakeAsync(index, cancellationToken);
            if (!ChangesCountersOnly())
            {
                return LogState.Pending;
            }

            index = (index + blocks) % _log.Count;
            left -= blocks;
        }

        return left == 0 ? LogState.SuperblockOnly : LogState.Pending;
    }

    /// <summary>The last record: the nearest header before the head whose record ends there.</summary>
    private async ValueTask<long> FindLastAsync(CancellationToken cancellationToken)
    {
        int blocks = _record.Length / Layout.BasicBlock;
        long start = _head.Index - blocks + _log.Count;
        await _log.ReadAsync(start, _record, cancellationToken);
        for (int back = 1; back <= blocks; back++)
        {
            LogRecord record = new(_record.AsSpan((blocks - back) * Layout.BasicBlock));
            long index = (start + blocks - back) % _log.Count;
            if (record.IsHeader(index, _head.CycleAt(index), _layout.Uuid))
            {
                Unless(record.TotalBlocks == back, "the XFS log's last record does not end where the log does");
                return index;
            }
        }

        throw new InDoubtException("the XFS log ends with no record");
    }

    /// <summary>Reads the record at an index and answers its basic blocks.</summary>
    private async ValueTask<int> TakeAsync(long index, CancellationToken cancellationToken)
    {
        const string wrong = "a record of the XFS log is not as it was written";
        await _log.ReadAsync(index, _record.AsMemory(0, Layout.BasicBlock), cancellationToken);
        int blocks = new LogRecord(_record) is var header && header.IsHeader(index, _head.CycleAt(index), _layout.Uuid) ? header.TotalBlocks : 0;
        Unless(blocks > 0 && blocks <= _record.Length / Layout.BasicBlock, wrong);
        await _log.ReadAsync(index + 1, _record.AsMemory(Layout.BasicBlock, (blocks - 1) * Layout.BasicBlock), cancellationToken);
        Unless(new LogRecord(_record).HasRightChecksum(), wrong);
        return blocks;
    }

    private bool IsUnmount()
    {
        LogRecord record = new(_record);
        return new LogOperations(record.Data(), record.Operations, _superblock).AreUnmount();
    }

    private bool ChangesCountersOnly()
    {
        LogRecord record = new(_record);
        return record.HasLittleEndianItems && new LogOperations(record.Data(), record.Operations, _superblock).ChangeCountersOnly();
    }
}
