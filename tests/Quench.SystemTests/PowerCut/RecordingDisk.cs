using Quench.Blocks;
using Quench.Exports.Fuse;

namespace Quench.SystemTests.PowerCut;

/// <summary>Something that was asked of a disk and done.</summary>
/// <param name="Offset">First byte.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Bytes">What was written; null for zeros, and for a flush.</param>
/// <param name="IsFlush">All that had been done before is durable from here on.</param>
internal sealed record LogRecord(long Offset, long Length, byte[]? Bytes, bool IsFlush)
{
    internal static readonly LogRecord Flush = new(0, 0, null, true);
}

/// <summary>
/// A disk that remembers in which order it was written. A write is in the log once it has been answered, a flush before it is answered: so what a flush
/// makes durable is exactly what stands before it. A disk with a volatile cache may lose or tear anything that stands behind the last flush.
/// </summary>
internal sealed class RecordingDisk(long length) : IFuseFile
{
    private readonly PageMap _now = new();
    private readonly Lock _gate = new(); // guards the one below
    private readonly List<LogRecord> _log = [];

    public long Length => length;

    public bool IsWritable => true;

    /// <summary>How many records there are.</summary>
    internal int Position
    {
        get
        {
            lock (_gate)
            {
                return _log.Count;
            }
        }
    }

    public void Read(long offset, Span<byte> into) => _now.Read(offset, into);

    public void Write(long offset, ReadOnlySpan<byte> source)
    {
        byte[] bytes = source.ToArray();
        Record(new LogRecord(offset, bytes.Length, bytes, false));
    }

    public void Flush()
    {
        lock (_gate)
        {
            if (_log.Count > 0 && !_log[^1].IsFlush)
            {
                _log.Add(LogRecord.Flush);
            }
        }
    }

    public void PunchHole(Extent range) => ZeroRange(range);

    public void ZeroRange(Extent range) => Record(new LogRecord(range.Offset, range.Length, null, false));

    /// <summary>The log up to now.</summary>
    internal IReadOnlyList<LogRecord> TakeLog()
    {
        lock (_gate)
        {
            return [.. _log];
        }
    }

    /// <summary>Puts a record's bytes onto a disk.</summary>
    internal static void Apply(LogRecord record, PageMap disk)
    {
        if (record.Bytes is { } bytes)
        {
            disk.Write(record.Offset, bytes);
        }
        else
        {
            disk.Zero(record.Offset, record.Length);
        }
    }

    /// <summary>Two writes to one place end in the order in which they stand in the log.</summary>
    private void Record(LogRecord record)
    {
        lock (_gate)
        {
            Apply(record, _now);
            _log.Add(record);
        }
    }
}
