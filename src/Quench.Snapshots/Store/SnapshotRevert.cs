using Quench.Blocks;
using Quench.Blocks.Buffers;
using Quench.Blocks.Devices;
using Quench.Snapshots.Providers.Filter;

namespace Quench.Snapshots.Store;

/// <summary>
/// Takes a volume back to one of its snapshots: writes back, through the filter, what was overwritten since. All snapshots stay, those taken after it
/// too, so that it can be undone. Broken off anywhere it can simply be done again: the snapshot is what it was.
/// </summary>
public sealed class SnapshotRevert : IAsyncDisposable
{
    private const int StepBytes = 1 << 20;

    private readonly RawDevice _device;
    private readonly OpenSnapshot _snapshot;
    private readonly IReadOnlyList<Extent> _extents;

    private SnapshotRevert(RawDevice device, OpenSnapshot snapshot, IReadOnlyList<Extent> extents)
    {
        _device = device;
        _snapshot = snapshot;
        _extents = extents;
        TotalBytes = extents.Sum(extent => extent.Length);
    }

    /// <summary>How much is to be written.</summary>
    public long TotalBytes { get; }

    /// <summary>Takes the volume for itself and makes the plan. Nothing is written yet.</summary>
    /// <exception cref="QuenchException">SNAP-160, SNAP-161, SNAP-170, SNAP-171: no such snapshot, it is gone, no room, the volume is in use.</exception>
    public static async Task<SnapshotRevert> PrepareAsync(AttachedVolume volume, uint number, CancellationToken cancellationToken)
    {
        RawDevice device = Take(volume);
        OpenSnapshot? snapshot = null;
        try
        {
            snapshot = OpenSnapshot.Open(volume, number);
            (IReadOnlyList<Extent> extents, long needed, long free) = snapshot.GetOverwritten(cancellationToken);
            return needed <= free ? new SnapshotRevert(device, snapshot, extents) : throw StoreErrors.NoRoomToRevert(volume.Name, number, needed, free);
        }
        catch
        {
            if (snapshot is not null)
            {
                await snapshot.DisposeAsync();
            }

            await device.DisposeAsync();
            throw;
        }
    }

    /// <summary>Writes it back. Durable when it returns.</summary>
    /// <param name="written">Told how many bytes have been written so far.</param>
    /// <param name="cancellationToken">Breaks off between two steps: the volume is neither then. Do it again.</param>
    public async Task RunAsync(Action<long> written, CancellationToken cancellationToken)
    {
        using AlignedBufferPool pool = new(StepBytes, maxRetained: 1);
        using BufferLease buffer = pool.Rent();
        long done = 0;
        foreach (Extent extent in _extents)
        {
            for (long at = extent.Offset; at < extent.End; at += StepBytes)
            {
                cancellationToken.ThrowIfCancellationRequested();
                Memory<byte> part = buffer.Memory[..(int)Math.Min(StepBytes, extent.End - at)];
                await _snapshot.Reader.ReadAsync(at, part, cancellationToken);
                await _device.WriteAsync(at, part, CancellationToken.None);
                written(done += part.Length);
            }
        }

        await _device.FlushAsync(CancellationToken.None);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _snapshot.DisposeAsync();
        await _device.DisposeAsync();
    }

    private static RawDevice Take(AttachedVolume volume)
    {
        if (volume.MountPoint is not null)
        {
            throw StoreErrors.VolumeInUse(volume.Name);
        }

        try
        {
            return RawDevice.Open(volume.Device, DeviceAccess.ReadWrite, exclusive: true);
        }
        catch (QuenchException failure)
        {
            throw StoreErrors.VolumeInUse(volume.Name, failure);
        }
    }
}
