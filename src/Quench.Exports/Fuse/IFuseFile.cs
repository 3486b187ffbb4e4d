using Quench.Blocks;

namespace Quench.Exports.Fuse;

/// <summary>
/// A file that we present through FUSE: a disk by another name. Its methods are called from many threads at once and may block;
/// a failure is thrown: <see cref="Quench.Interop.Linux.LinuxErrorException"/> reaches the caller as its own error number, anything else as EIO.
/// </summary>
public interface IFuseFile
{
    /// <summary>Bytes; constant.</summary>
    long Length { get; }

    /// <summary>Whether it can be opened for writing.</summary>
    bool IsWritable { get; }

    /// <summary>Fills the buffer. The range lies inside the file.</summary>
    /// <param name="offset">First byte.</param>
    /// <param name="into">Page-aligned memory, lent during the call.</param>
    void Read(long offset, Span<byte> into);

    /// <summary>Writes the source. The range lies inside the file.</summary>
    /// <param name="offset">First byte.</param>
    /// <param name="source">Page-aligned memory, lent during the call.</param>
    void Write(long offset, ReadOnlySpan<byte> source);

    /// <summary>Makes durable what had been written.</summary>
    void Flush();

    /// <summary>A hole is punched: the caller no longer needs the range.</summary>
    void PunchHole(Extent range);

    /// <summary>The range shall read as zeros.</summary>
    void ZeroRange(Extent range);
}
