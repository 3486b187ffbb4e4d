using Quench.Blocks;
using Quench.Exports.Fuse;
using Quench.Interop.Linux;
using Quench.SystemTests.PowerCut;

namespace Quench.SystemTests.DiffAreaTrouble;

/// <summary>What a disk does with what it is asked.</summary>
internal enum DiskMood
{
    /// <summary>What it should.</summary>
    Sound,

    /// <summary>Every write, and every read that a medium has to answer, takes ten seconds.</summary>
    Slow,

    /// <summary>Every write fails.</summary>
    Failing,

    /// <summary>Every write fails because the medium below it is full.</summary>
    Full,

    /// <summary>Nothing comes back.</summary>
    Silent,
}

/// <summary>A disk in memory that can be made to misbehave. Whoever waits in it is let go when its mood changes, so that nothing is left behind.</summary>
internal sealed class FaultyDisk(long length) : IFuseFile
{
    private static readonly TimeSpan s_slow = TimeSpan.FromSeconds(10);

    private readonly PageMap _pages = new();
    private readonly object _gate = new(); // a monitor, because those who suffer wait on it; guards the one below
    private DiskMood _mood;

    public long Length => length;

    public bool IsWritable => true;

    /// <summary>Sets the mood, for those too who are waiting already: they are answered at once, as failed when it was silent.</summary>
    internal void Become(DiskMood mood)
    {
        lock (_gate)
        {
            _mood = mood;
            Monitor.PulseAll(_gate);
        }
    }

    public void Read(long offset, Span<byte> into)
    {
        Suffer(failingToo: false);
        _pages.Read(offset, into);
    }

    public void Write(long offset, ReadOnlySpan<byte> source)
    {
        Suffer(failingToo: true);
        _pages.Write(offset, source);
    }

    public void Flush() => Suffer(failingToo: true);

    public void PunchHole(Extent range) => ZeroRange(range);

    public void ZeroRange(Extent range)
    {
        Suffer(failingToo: true);
        _pages.Zero(range.Offset, range.Length);
    }

    private void Suffer(bool failingToo)
    {
        lock (_gate)
        {
            DiskMood mood = _mood;
            if (mood == DiskMood.Slow)
            {
                Monitor.Wait(_gate, s_slow);
            }

            while (_mood == DiskMood.Silent)
            {
                Monitor.Wait(_gate);
            }

            if (mood == DiskMood.Silent || (_mood == DiskMood.Failing && failingToo))
            {
                throw new LinuxErrorException(Errno.EIO, "use a disk that fails", null);
            }

            if (_mood == DiskMood.Full && failingToo)
            {
                throw new LinuxErrorException(Errno.ENOSPC, "use a disk that is full", null);
            }
        }
    }
}
