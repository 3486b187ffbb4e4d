using System.Numerics;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Providers.Tracked;

/// <summary>
/// A tracker that stays in the kernel between backups, without a process: it knows what changed since the last point. It has two planes of bits. At an instant the marks go over to the other
/// plane in one step; what the first holds is what changed before, and is kept until the new point has been committed:
///
///     plane A  marked ────────────────┤ instant ├──────── kept ─────┤ committed ├ cleared
///     plane B                         │ marked ──────────────────────────────────────────▶
///
/// A backup that fails in between has lost nothing: both planes together are what changed since the older point.
/// </summary>
/// <remarks>
/// Used by one backup at a time, under a lock that ends with its process. Whatever could have been missed is seen by counters that the kernel keeps, compared with what they were at the instant.
/// Not thread-safe.
/// </remarks>
internal sealed class StandingTracker : IDisposable
{
    /// <summary>Bytes that one bit stands for: those of a usual chunk.</summary>
    public const int BlockSize = 64 << 10;

    private readonly StandingFolder _folder;
    private readonly TrackerTarget _target;
    private readonly SafeFileHandle _lock;
    private readonly TrackerWatch _watch;
    private readonly TrackerMaps _maps;
    private TrackerCounters _atInstant;

    private StandingTracker(StandingFolder folder, TrackerTarget target, SafeFileHandle @lock, TrackerWatch watch) =>
        (_folder, _target, _lock, _watch, _maps) = (folder, target, @lock, watch, watch.Maps);

    /// <summary>Opens the tracker of a device, or starts one.</summary>
    /// <param name="device">A disk or a partition whose writes can be tracked.</param>
    /// <param name="whyNot">Why there is none; empty when there is.</param>
    /// <returns>Null when changes can't be tracked between backups. A backup goes without it then.</returns>
    public static StandingTracker? TryOpen(string device, out string whyNot)
    {
        whyNot = "";
        try
        {
            return Open(device, out whyNot);
        }
        catch (Exception failure) when (failure is LinuxErrorException or QuenchException or IOException or UnauthorizedAccessException)
        {
            whyNot = $"changes can't be tracked between backups: {failure.Message}";
            return null;
        }
    }

    /// <summary>Drops the tracker of a device, if there is one that nobody uses.</summary>
    public static void Remove(string device)
    {
        StandingFolder folder = StandingFolder.Of(DiskPlace.Of(device));
        if (Directory.Exists(folder.Files))
        {
            using SafeFileHandle held = NativeFile.Open(folder.Lock, OpenMode.ReadWrite | OpenMode.Create);
            if (AdvisoryLock.TryTake(held))
            {
                folder.RemoveObjects(); // not the lock: whoever waits for it has it open
            }
        }
    }

    /// <summary>What may have changed since the point that was last remembered for a vault.</summary>
    public VolumeChanges GetChanges(Guid vault)
    {
        if (!TryReadRecord(out IReadOnlyList<StandingPoint> points, out string why))
        {
            return VolumeChanges.Unknown(why);
        }

        if (points.FirstOrDefault(one => one.Vault == vault) is not { } point)
        {
            return VolumeChanges.Unknown("no earlier point in this vault is on record");
        }

        if (DoubtSincePoint() is { } doubt)
        {
            return VolumeChanges.Unknown($"{doubt} since the last point");
        }

        UsedBlocks changed = NoBlocks();
        AddTo(changed, 0);
        AddTo(changed, _target.Words);
        return new VolumeChanges(point.Point, changed.With(point.Changed), NoBlocks(), point.Used, null);
    }

    /// <summary>
    /// Begins to count anew, at an instant: while writers are held and nothing is in flight. What was counted before is kept until <see cref="Remember"/>. In memory alone, and in a moment.
    /// </summary>
    public void BeginAtInstant()
    {
        int plane = Plane;
        int other = _target.Words - plane;
        for (int word = _maps.Bits.NextNonZero(other); word < other + _target.Words; word = _maps.Bits.NextNonZero(word + 1))
        {
            _maps.Bits.Or(plane + word - other, _maps.Bits.Read(word)); // of an instant that came to nothing
            _maps.Bits.Write(word, 0);
        }

        _atInstant = _watch.Count(); // before the plane is changed: what is missed in between counts against the time that begins
        _maps[TrackerWord.Plane] = (ulong)other;
    }

    /// <summary>Whether its programs run.</summary>
    public bool HearsItself() => _watch.HearsItself();

    /// <summary>Remembers that the last instant is kept as a point.</summary>
    /// <param name="vault">The vault; its earlier point is forgotten.</param>
    /// <param name="point">The point, committed.</param>
    /// <param name="used">The blocks that it holds.</param>
    /// <param name="since">What the backup's own tracker has heard since the instant.</param>
    public void Remember(Guid vault, Guid point, UsedBlocks used, UsedBlocks since)
    {
        Mark(since);
        List<StandingPoint> points = [new StandingPoint(vault, point, used, NoBlocks())];
        if (TryReadRecord(out IReadOnlyList<StandingPoint> older, out _) && DoubtSincePoint(_atInstant) is null)
        {
            UsedBlocks before = NoBlocks();
            AddTo(before, _target.Words - Plane);
            points.AddRange(older.Where(one => one.Vault != vault).Take(StandingRecord.MaxPoints - 1).Select(one => one with { Changed = before.With(one.Changed) }));
        }

        ulong number = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))) | 1;
        _maps[TrackerWord.Record] = 0; // from here on nothing is known, until all of it is in place
        ClearOther();
        RememberCounters(_atInstant);
        WriteRecord(number, StandingRecord.Encode(points));
        _maps[TrackerWord.Record] = number;
        foreach (string old in Directory.EnumerateFiles(_folder.Files, "record-*").Where(path => path != _folder.Record(number)))
        {
            File.Delete(old);
        }
    }

    /// <summary>Lets go of it; it stays in the kernel.</summary>
    public void Dispose()
    {
        _watch.Dispose();
        _lock.Dispose();
    }

    private int Plane => (int)_maps[TrackerWord.Plane];

    private static StandingTracker? Open(string device, out string whyNot)
    {
        whyNot = "";
        DiskPlace place = DiskPlace.Of(device);
        if (place.Sequence.Length == 0)
        {
            whyNot = "changes are not tracked between backups: this kernel does not tell one medium of a disk from another (Linux 5.15 does)";
            return null;
        }

        StandingFolder.Prepare();
        StandingFolder folder = StandingFolder.Of(place);
        Directory.CreateDirectory(folder.Files);
        SafeFileHandle held = NativeFile.Open(folder.Lock, OpenMode.ReadWrite | OpenMode.Create);
        try
        {
            if (!AdvisoryLock.TryTake(held))
            {
                whyNot = "another backup of it is running, which has the record of changes";
                held.Dispose();
                return null;
            }

            TrackerTarget target = TrackerTarget.Of(place, BlockSize);
            TrackerWatch watch = TryOpenPinned(device, place, target, folder) ?? StartPinned(device, place, target, folder);
            return new StandingTracker(folder, target, held, watch);
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    private static TrackerWatch? TryOpenPinned(string device, DiskPlace place, TrackerTarget target, StandingFolder folder)
    {
        if (!Directory.Exists(folder.Objects))
        {
            return null;
        }

        TrackerWatch? watch = null;
        try
        {
            watch = TrackerWatch.OpenPinned(device, place, TrackerMaps.OpenPinned(target, folder), folder);
            if (watch.HearsItself())
            {
                return watch;
            }
        }
        catch (LinuxErrorException)
        {
            // A part of it is not there: whoever made it was killed, or somebody took something away. It is made anew.
        }

        watch?.Dispose();
        folder.RemoveObjects();
        return null;
    }

    private static TrackerWatch StartPinned(string device, DiskPlace place, TrackerTarget target, StandingFolder folder)
    {
        TrackerWatch watch = TrackerWatch.Start(device, place, target, TrackerMaps.ForStanding(target));
        try
        {
            Directory.CreateDirectory(folder.Objects);
            watch.Pin(folder);
            return watch;
        }
        catch
        {
            watch.Dispose();
            folder.RemoveObjects();
            throw;
        }
    }

    /// <summary>Why a write may be missing between the beginning of the count and now.</summary>
    private string? DoubtSincePoint()
    {
        bool isAtRest = _watch.TryCountAtRest(out TrackerCounters now);
        string? doubt = DoubtSincePoint(now);
        return doubt is null && !isAtRest && now.HasUnheardLandingsSince(Remembered) ? "writes have landed unheard, and while others are under way it can't be told whether they were heard when submitted" : doubt;
    }

    /// <summary>The same, between the beginning and a look at the counters while nothing was under way.</summary>
    private string? DoubtSincePoint(TrackerCounters then) => then.DoubtSince(Remembered);

    /// <summary>What the counters were when the count began.</summary>
    private TrackerCounters Remembered => unchecked(new TrackerCounters(
        (long)_maps[TrackerWord.MissesThen],
        _maps[TrackerWord.LostThen],
        _maps[TrackerWord.UnknownThen],
        (long)_maps[TrackerWord.UnheardLandedThen],
        (long)_maps[TrackerWord.UnheardQueuedThen]));

    private void RememberCounters(TrackerCounters then)
    {
        unchecked // some of them may be below zero
        {
            _maps[TrackerWord.MissesThen] = (ulong)then.Misses;
            _maps[TrackerWord.LostThen] = then.Lost;
            _maps[TrackerWord.UnknownThen] = then.Unknown;
            _maps[TrackerWord.UnheardLandedThen] = (ulong)then.UnheardLanded;
            _maps[TrackerWord.UnheardQueuedThen] = (ulong)then.UnheardQueued;
        }
    }

    private bool TryReadRecord(out IReadOnlyList<StandingPoint> points, out string whyNot)
    {
        points = [];
        ulong number = _maps[TrackerWord.Record];
        if (number == 0)
        {
            whyNot = "no point has been remembered since its tracker was started: it is the first backup since the machine was, or the one before was broken off";
            return false;
        }

        try
        {
            points = StandingRecord.Decode(File.ReadAllBytes(_folder.Record(number)), _target.Length);
            whyNot = "";
            return true;
        }
        catch (Exception failure) when (failure is IOException or InvalidDataException)
        {
            whyNot = $"the record of changes can't be read: {failure.Message}";
            return false;
        }
    }

    private void WriteRecord(ulong number, byte[] bytes)
    {
        using SafeFileHandle file = NativeFile.Open(_folder.Record(number), OpenMode.WriteOnly | OpenMode.Create | OpenMode.Exclusive);
        NativeFile.Write(file, bytes, 0);
    }

    /// <summary>Marks blocks in the plane that counts now.</summary>
    private void Mark(UsedBlocks blocks)
    {
        int plane = Plane;
        foreach (Extent run in blocks.Runs())
        {
            for (long block = run.Offset / BlockSize; block <= (run.End - 1) / BlockSize; block++)
            {
                _maps.Bits.Or(plane + (int)(block / 64), 1UL << (int)(block % 64));
            }
        }
    }

    private void AddTo(UsedBlocks blocks, int plane)
    {
        for (int word = _maps.Bits.NextNonZero(plane); word < plane + _target.Words; word = _maps.Bits.NextNonZero(word + 1))
        {
            long first = (long)(word - plane) * 64;
            for (ulong bits = _maps.Bits.Read(word); bits != 0; bits &= bits - 1)
            {
                long block = first + BitOperations.TrailingZeroCount(bits);
                if (block < blocks.Bits.Length) // whole words are marked of a long range
                {
                    blocks.Bits.Set(block);
                }
            }
        }
    }

    private void ClearOther()
    {
        int other = _target.Words - Plane;
        for (int word = _maps.Bits.NextNonZero(other); word < other + _target.Words; word = _maps.Bits.NextNonZero(word + 1))
        {
            _maps.Bits.Write(word, 0);
        }
    }

    private UsedBlocks NoBlocks() => new(_target.Length, BlockSize);
}
