using Quench.Blocks;
using Quench.Snapshots.Engine;

namespace Quench.Tests.Simulation;

/// <summary>
/// The model: a full copy of the disk at the instant, and what the snapshot's user has said since. A snapshot must be exactly this.
/// </summary>
internal sealed class Moment
{
    private readonly Sector[] _disk;
    private readonly Sector[] _image;
    private readonly long[] _droppedAt;  // per block: when it was said to be unused; 0 when it was not
    private readonly long[] _releasedAt; // per block: when it was said to be imaged; 0 when it was not

    public Moment(SnapshotState snapshot, Sector[] disk)
    {
        Snapshot = snapshot;
        _disk = [.. disk];
        _image = new Sector[disk.Length];
        Array.Fill(_image, Sector.Garbage);
        _droppedAt = new long[snapshot.Blocks];
        _releasedAt = new long[snapshot.Blocks];
    }

    public SnapshotState Snapshot { get; }

    public bool ImagingIsOver { get; set; }

    public bool IsReleased(long block) => _releasedAt[block] != 0;

    /// <summary>The first block from one on, round the end, that was not released; -1 when all were.</summary>
    public long NextUnreleased(long first)
    {
        for (long i = 0; i < Snapshot.Blocks; i++)
        {
            long block = (first + i) % Snapshot.Blocks;
            if (!IsReleased(block))
            {
                return block;
            }
        }

        return -1;
    }

    public Extent BlockExtent(long block) =>
        Extent.FromTo(block * Snapshot.BlockSize, Math.Min((block + 1) * Snapshot.BlockSize, Snapshot.VolumeLength));

    public void Drop(Extent range, long now) => Mark(_droppedAt, range, now);

    public void Release(Extent range, long now) => Mark(_releasedAt, range, now);

    /// <summary>Judges how a read of the snapshot ended.</summary>
    public void Judge(ReadStatus status, Extent range, Sector[] found, long begun, Tally tally)
    {
        bool isSound = Snapshot.Broken is null && !Snapshot.IsEnded;
        switch (status)
        {
            case ReadStatus.Done:
                Require(isSound, "a broken or ended snapshot gave data");
                tally.ReadsDone++;
                tally.SectorsCompared += found.Length;
                Compare(range, found, begun);
                break;
            case ReadStatus.Released:
                Require(AnyReleased(range, long.MaxValue), "a read was refused as released, but nothing of it was");
                tally.ReadsOfReleased++;
                break;
            case ReadStatus.Broken:
                Require(Snapshot.Broken is not null, "a read was refused as broken, but the snapshot is sound");
                tally.ReadsOfBroken++;
                break;
            case ReadStatus.Ended:
                Require(Snapshot.IsEnded, "a read was refused as ended, but the snapshot has not ended");
                tally.ReadsOfEnded++;
                break;
            default:
                throw new SimulationException($"a read ended as {status}");
        }
    }

    public void Image(Extent range, Sector[] found) => Array.Copy(found, 0, _image, range.Offset / Sector.Size, found.Length);

    /// <summary>The finished image, sector by sector: the disk at the instant, with zeros allowed where nothing was in use.</summary>
    public void CompareImage()
    {
        for (int sector = 0; sector < _disk.Length; sector++)
        {
            bool mayBeZero = _droppedAt[(long)sector * Sector.Size / Snapshot.BlockSize] != 0 && _image[sector] == default;
            bool isRight = mayBeZero || _image[sector] == _disk[sector];
            Require(isRight, () => "the image is wrong: " + Sector.Compare(sector, _image[sector], _disk[sector]));
        }
    }

    private void Compare(Extent range, Sector[] found, long begun)
    {
        Require(!AnyReleased(range, begun), "a read gave data of a block that was released before it began");
        int first = (int)(range.Offset / Sector.Size);
        for (int i = 0; i < found.Length; i++)
        {
            long droppedAt = _droppedAt[(long)(first + i) * Sector.Size / Snapshot.BlockSize];
            bool mayBeZero = droppedAt != 0;
            bool mayBeOld = droppedAt == 0 || droppedAt >= begun;
            bool isRight = (mayBeOld && found[i] == _disk[first + i]) || (mayBeZero && found[i] == default);
            Require(isRight, () => Sector.Compare(first + i, found[i], mayBeOld ? _disk[first + i] : default));
        }
    }

    private bool AnyReleased(Extent range, long before)
    {
        for (long block = range.Offset / Snapshot.BlockSize; block * Snapshot.BlockSize < range.End; block++)
        {
            if (_releasedAt[block] != 0 && _releasedAt[block] < before)
            {
                return true;
            }
        }

        return false;
    }

    private void Mark(long[] times, Extent range, long now)
    {
        for (long block = 0; block < times.Length; block++)
        {
            if (times[block] == 0 && range.Contains(BlockExtent(block)))
            {
                times[block] = now;
            }
        }
    }

    private static void Require(bool condition, string message) => Require(condition, () => message);

    private static void Require(bool condition, Func<string> message)
    {
        if (!condition)
        {
            throw new SimulationException(message());
        }
    }
}
