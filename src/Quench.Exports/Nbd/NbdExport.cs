using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Exports.Nbd.Wire;

namespace Quench.Exports.Nbd;

/// <summary>A device as clients see it: a name, what may be done, what can be asked. Owns the device. Any number of clients may use it at once.</summary>
public sealed class NbdExport : IAsyncDisposable
{
    private readonly IBlockReader _reader;

    private NbdExport(string name, string description, IBlockReader reader, IBlockDevice? device, IEnumerable<INbdContext> contexts)
    {
        if (System.Text.Encoding.UTF8.GetByteCount(name) > WireText.MaxLength)
        {
            throw new ArgumentException($"an export's name has at most {WireText.MaxLength} bytes", nameof(name));
        }

        Name = name;
        Description = description;
        _reader = reader;
        Device = device;
        Contexts = [new BaseAllocation(reader), .. contexts];
    }

    /// <summary>The name; empty for the one that a client gets which names none.</summary>
    public string Name { get; }

    /// <summary>One line for people.</summary>
    public string Description { get; }

    /// <summary>Whether clients may only read.</summary>
    public bool IsReadOnly => Device is null;

    /// <summary>What reads come from; any byte can be addressed.</summary>
    internal IBlockReader Reader => _reader;

    /// <summary>What writes go to; null for a read-only export.</summary>
    internal IBlockDevice? Device { get; }

    internal long Length => _reader.Geometry.Length;

    /// <summary>What can be asked about ranges, base:allocation first.</summary>
    internal IReadOnlyList<INbdContext> Contexts { get; }

    /// <summary>
    /// Every connection works on one device, and a flush covers what any of them has written: so clients may use several at once.
    /// </summary>
    internal NbdTransmissionFlags FlagsFor(bool structured) =>
        NbdTransmissionFlags.HasFlags | NbdTransmissionFlags.SendFlush | NbdTransmissionFlags.CanMultiConn
        | (structured ? NbdTransmissionFlags.SendDontFragment : 0)
        | (IsReadOnly
            ? NbdTransmissionFlags.ReadOnly
            : NbdTransmissionFlags.SendForceUnitAccess | NbdTransmissionFlags.SendTrim | NbdTransmissionFlags.SendWriteZeroes);

    /// <summary>Exports something to be read.</summary>
    /// <param name="name">The name clients ask for.</param>
    /// <param name="description">One line for people.</param>
    /// <param name="reader">What to export; disposed with the export.</param>
    /// <param name="contexts">What can be asked beside base:allocation.</param>
    public static NbdExport ReadOnly(string name, string description, IBlockReader reader, params IEnumerable<INbdContext> contexts)
    {
        IBlockReader view = reader.Geometry.SectorSize == 1 ? reader : new ByteAddressable(reader);
        return new NbdExport(name, description, view, null, contexts);
    }

    /// <summary>Exports a device to be read and written.</summary>
    /// <param name="name">The name clients ask for.</param>
    /// <param name="description">One line for people.</param>
    /// <param name="device">What to export; disposed with the export.</param>
    /// <param name="contexts">What can be asked beside base:allocation.</param>
    public static NbdExport Writable(string name, string description, IBlockDevice device, params IEnumerable<INbdContext> contexts)
    {
        IBlockDevice view = device.Geometry.SectorSize == 1 ? device : new WritableByteAddressable(device);
        return new NbdExport(name, description, view, view, contexts);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _reader.DisposeAsync();
}
