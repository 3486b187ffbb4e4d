using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Exports.Fuse;
using Quench.Interop.Block;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Providers.Filter.Supervision;

/// <summary>The volume with nothing between it and its origin: no engine, no tracking, no lock. For when those may be what hangs.</summary>
internal sealed class PassThroughVolume(Disk origin) : IFuseFile
{
    private readonly bool _canZero = CanZero(origin);

    /// <inheritdoc/>
    public long Length => origin.Geometry.Length;

    /// <inheritdoc/>
    public bool IsWritable => true;

    /// <summary>Whether holes are made quickly in an origin; where they are not, discards are refused.</summary>
    internal static bool CanZero(Disk origin) => origin is ImageFile || BlockDevice.CanZeroQuickly(origin.Path);

    /// <inheritdoc/>
    public void Read(long offset, Span<byte> into) => origin.Read(offset, into);

    /// <inheritdoc/>
    public void Write(long offset, ReadOnlySpan<byte> source) => origin.Write(offset, source);

    /// <inheritdoc/>
    public void Flush() => origin.Flush();

    /// <inheritdoc/>
    public void PunchHole(Extent range)
    {
        if (!_canZero)
        {
            throw new LinuxErrorException(Errno.EOPNOTSUPP, "make a hole in", origin.Path); // as FilterVolume answers, and for its reasons
        }

        origin.Zero(range);
    }

    /// <inheritdoc/>
    public void ZeroRange(Extent range) => PunchHole(range);
}
