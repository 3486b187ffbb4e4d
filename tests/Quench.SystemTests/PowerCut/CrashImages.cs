using Quench.Blocks;
using Quench.Exports.Fuse;

namespace Quench.SystemTests.PowerCut;

/// <summary>What becomes of the writes since the last flush.</summary>
internal enum Cut
{
    /// <summary>All of them arrived.</summary>
    Prefix,

    /// <summary>Any of them arrived, in any combination.</summary>
    Subset,

    /// <summary>All but the last arrived, and of that one only some parts.</summary>
    Torn,
}

/// <summary>A disk as a power cut left it; what is written to it then lies in memory of its own.</summary>
internal sealed class CrashDisk(PageMap durable, long length) : IFuseFile
{
    private readonly PageMap _over = new();

    public long Length => length;

    public bool IsWritable => true;

    public void Read(long offset, Span<byte> into) => _over.Read(offset, into, durable);

    public void Write(long offset, ReadOnlySpan<byte> source) => _over.WriteOver(durable, offset, source);

    public void Flush()
    {
        // it is not cut off twice
    }

    public void PunchHole(Extent range) => ZeroRange(range);

    public void ZeroRange(Extent range)
    {
        byte[] zeros = new byte[Math.Min(range.Length, 1 << 20)];
        for (long at = range.Offset; at < range.End; at += zeros.Length)
        {
            Write(at, zeros.AsSpan(0, (int)Math.Min(zeros.Length, range.End - at)));
        }
    }
}

/// <summary>Makes disks as power cuts leave them, at rising positions of one log: each is built on the last one's flushed part.</summary>
/// <param name="log">What was recorded.</param>
/// <param name="length">Bytes of the disk.</param>
/// <param name="tornUnit">Bytes that the drive writes whole or not at all: a torn write consists of such parts.</param>
/// <param name="random">Decides what arrives.</param>
internal sealed class CrashImages(IReadOnlyList<LogRecord> log, long length, int tornUnit, Random random)
{
    private readonly PageMap _durable = new(); // all records before _flushed
    private int _flushed;

    /// <summary>The disk after the power was cut at a position.</summary>
    /// <param name="position">How many records there had been; not less than at the last call.</param>
    /// <param name="cut">What became of those behind the last flush.</param>
    internal CrashDisk At(int position, Cut cut)
    {
        int flush = position;
        while (flush > _flushed && !log[flush - 1].IsFlush)
        {
            flush--;
        }

        for (; _flushed < flush; _flushed++)
        {
            if (!log[_flushed].IsFlush)
            {
                RecordingDisk.Apply(log[_flushed], _durable);
            }
        }

        CrashDisk disk = new(_durable, length);
        for (int at = flush; at < position; at++)
        {
            if (cut == Cut.Torn && at == position - 1)
            {
                Tear(log[at], disk);
            }
            else if (cut != Cut.Subset || random.Next(2) == 0)
            {
                Write(disk, log[at]);
            }
        }

        return disk;
    }

    private static void Write(CrashDisk disk, LogRecord record)
    {
        if (record.Bytes is { } bytes)
        {
            disk.Write(record.Offset, bytes);
        }
        else
        {
            disk.ZeroRange(new Extent(record.Offset, record.Length));
        }
    }

    private void Tear(LogRecord record, CrashDisk disk)
    {
        byte[] bytes = record.Bytes ?? new byte[Math.Min(record.Length, 1 << 20)];
        for (int at = 0; at < bytes.Length; at += tornUnit)
        {
            if (random.Next(2) == 0)
            {
                disk.Write(record.Offset + at, bytes.AsSpan(at, Math.Min(tornUnit, bytes.Length - at)));
            }
        }
    }
}
