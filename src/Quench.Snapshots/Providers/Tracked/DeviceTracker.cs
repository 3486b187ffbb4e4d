using Quench.Blocks;
using Quench.Interop.Bpf;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Providers.Tracked;

/// <summary>
/// Knows which blocks of a mounted device were written, discarded or zeroed since it was last asked. Programs in the kernel mark blocks when a request is
/// submitted and again when it has landed, so a block that was read in between is marked after the read. Nothing is left in the kernel when it is disposed
/// or when its process ends.
/// </summary>
/// <remarks>
/// The rule for whoever copies: harvest, then read. What is written after the harvest is in the next one. Not thread-safe.
/// </remarks>
internal sealed class DeviceTracker : IDisposable
{
    /// <summary>Bytes that one bit stands for.</summary>
    public const int DefaultBlockSize = 4096;

    /// <summary>Room for ranges that are too long for the programs.</summary>
    public const int DefaultLogEntries = 1 << 14;

    private static readonly TimeSpan s_entryLimit = TimeSpan.FromSeconds(1);

    private readonly string _device;
    private readonly DiskPlace _place;
    private readonly TrackerTarget _target;
    private readonly TrackerWatch _watch;
    private readonly TrackerMaps _maps;

    /// <summary>All that was marked since the start, so all that can have been under way at some harvest.</summary>
    private readonly BlockBitmap _ever;
    private readonly bool _beganAtRest;

    /// <summary>
    /// Since when each write must have been heard at one of its ends: the start, or the last doubt. Not the last harvest: that a write was not heard when it was submitted may be hidden, by what is under way,
    /// for longer than that its landing was not.
    /// </summary>
    private TrackerCounters _sound;

    /// <summary>What the last harvest saw.</summary>
    private TrackerCounters _seen;

    private DeviceTracker(string device, DiskPlace place, TrackerTarget target, TrackerWatch watch)
    {
        (_device, _place, _target, _watch, _maps) = (device, place, target, watch, watch.Maps);
        _ever = new BlockBitmap(target.Blocks);
        _beganAtRest = watch.TryCountAtRest(out _sound); // from here on each write is heard twice; what was missed until now does not matter: nothing has been read yet
        _seen = _sound;
    }

    /// <summary>Bytes of the device.</summary>
    public long Length => _target.Length;

    /// <summary>Bytes that one bit stands for.</summary>
    public int BlockSize => _target.BlockSize;

    /// <summary>Bytes of the device whose writing, discarding or zeroing has been completed since the start.</summary>
    public long CompletedBytes => (long)_maps[TrackerWord.CompletedBytes];

    /// <summary>Writes in flight, by the kernel's own count.</summary>
    public long WritesInFlight => _place.CountWritesInFlight();

    /// <summary>Starts to track a device. When it returns, every later write is heard.</summary>
    /// <param name="device">A disk or a partition; mounted as a rule.</param>
    /// <param name="blockSize">Bytes that one bit stands for; a power of two.</param>
    /// <param name="logEntries">Room for long ranges; a power of two.</param>
    /// <exception cref="QuenchException">
    /// SNAP-180: the kernel refused; SNAP-181: a kernel that tells too little of itself; SNAP-182: not a device whose writes can be tracked.
    /// </exception>
    public static DeviceTracker Start(string device, int blockSize = DefaultBlockSize, int logEntries = DefaultLogEntries)
    {
        DiskPlace place = DiskPlace.Of(device);
        place.DemandTrackable(device);
        TrackerTarget target = TrackerTarget.Of(place, blockSize);
        try
        {
            return new DeviceTracker(device, place, target, TrackerWatch.Start(device, place, target, TrackerMaps.ForOneBackup(target, logEntries)));
        }
        catch (LinuxErrorException failure)
        {
            throw Refused(device, failure);
        }
    }

    /// <summary>Takes what has been marked since the last harvest.</summary>
    /// <param name="into">A bit for each block; the marked ones are set, the others stay as they are.</param>
    /// <returns>
    /// Null when the marks are complete; when a landing was not heard, all that was marked since the start is among them again. Otherwise why a write may be missing, in one sentence: then every block may have
    /// changed since the harvest before.
    /// </returns>
    /// <exception cref="QuenchException">SNAP-183: the device is not the one any more that the tracker was started for.</exception>
    public string? Harvest(BlockBitmap into)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(into.Length, _target.Blocks);
        TrackerTestPoint.Reach(_watch);
        TakeBits(into);
        string? stuck = TakeLog(into);
        DemandSamePlace();
        string? doubt = Doubt(out bool isLandingUnheard); // asked last: what was lost before the harvest has been counted by now
        if (isLandingUnheard)
        {
            into.UnionWith(_ever);
        }

        return doubt ?? stuck;
    }

    /// <summary>What has been missed since the programs run: for tests.</summary>
    internal TrackerCounters Missed => _watch.Count();

    /// <summary>Makes bytes unheard at one of their ends, as if the kernel had not run a program: for tests.</summary>
    /// <param name="word">Of <see cref="TrackerLocal"/>.</param>
    /// <param name="bytes">How many.</param>
    internal void Unhear(int word, long bytes) => _maps.Unhear(word, bytes);

    /// <summary>Stops hearing, as if the kernel had dropped the programs: for tests of what is noticed then.</summary>
    internal void Detach() => _watch.Detach();

    /// <inheritdoc/>
    public void Dispose() => _watch.Dispose();

    private void TakeBits(BlockBitmap into)
    {
        for (int word = _maps.Bits.NextNonZero(0); word < _maps.Bits.Length; word = _maps.Bits.NextNonZero(word + 1))
        {
            ulong bits = _maps.Bits.Exchange(word, 0);
            for (long first = (long)word * 64; bits != 0; bits &= bits - 1)
            {
                long block = first + System.Numerics.BitOperations.TrailingZeroCount(bits);
                into.Set(block);
                _ever.Set(block);
            }
        }
    }

    /// <summary>Empties the ring. An entry that a program has taken and not filled yet is waited for: it runs on another processor at this moment.</summary>
    /// <returns>Why a range may be missing; null when none is.</returns>
    private string? TakeLog(BlockBitmap into)
    {
        ulong head = _maps[TrackerWord.LogHead];
        ulong tail = _maps[TrackerWord.LogTail];

        // When more was taken than there is room for, what did not fit has been counted as lost. The entries that are there are read, the head is met.
        bool isWhole = TryRead(tail, Math.Min(head, tail + (ulong)_maps.LogEntries), into);
        _maps[TrackerWord.LogTail] = head;
        return isWhole ? null : "an entry of the tracker's log was begun and never written";
    }

    private bool TryRead(ulong from, ulong to, BlockBitmap into)
    {
        BpfMap log = _maps.Log!;
        for (ulong entry = from; entry < to; entry++)
        {
            int word = (int)(entry & (ulong)(_maps.LogEntries - 1)) * TrackerMaps.LogEntryWords;
            if (log.Read(word) == 0 && !SpinWait.SpinUntil(() => log.Read(word) != 0, s_entryLimit))
            {
                return false;
            }

            (long first, long count) = ((long)log.Read(word + 1), (long)log.Exchange(word, 0));
            into.SetRange(first, count);
            _ever.SetRange(first, count);
        }

        return true;
    }

    private void DemandSamePlace()
    {
        DiskPlace now = DiskPlace.Of(_device);
        if (now != _place)
        {
            throw new QuenchException(
                "SNAP-183",
                now.Length != _place.Length
                    ? $"{_device} was resized while it was tracked: {ByteSize.Format(now.Length)} now, {ByteSize.Format(_place.Length)} before"
                    : $"{_device} is another device, or lies elsewhere on its disk, than when tracking began",
                "run the backup again")
            {
                Effect = "the backup was given up and left no recovery point; the volume itself is unaffected",
                CanRetry = true,
            };
        }
    }

    /// <summary>Compares the counters of loss with what they were, and sees whether the programs still run.</summary>
    /// <param name="isLandingUnheard">
    /// Whether a write may have landed without being heard, that was heard when it was submitted: it is in some harvest, but its block may have been read while it was under way.
    /// </param>
    private string? Doubt(out bool isLandingUnheard)
    {
        TrackerCounters now = _watch.Count();
        now = now with { Misses = now.Misses + TrackerTestPoint.Misses };
        isLandingUnheard = now.HasUnheardLandingsSince(_seen);
        string? doubt = now.DoubtSince(_sound);
        if (now.HasUnheardLandingsSince(_sound) && (!_beganAtRest || IsHidden()))
        {
            doubt ??= "a write has landed unheard, and it can't be told whether it was heard when it was submitted";
        }

        _seen = now with { UnheardLanded = Math.Max(now.UnheardLanded, _seen.UnheardLanded), UnheardQueued = Math.Max(now.UnheardQueued, _seen.UnheardQueued) };
        _sound = doubt is null ? _sound : _seen;
        return _watch.HearsItself() ? doubt : "the tracker's programs do not run any more";
    }

    /// <summary>Whether writes elsewhere on its disk are under way: they stay so when this device's have been waited for.</summary>
    private bool IsHidden() => _place.CountWritesInFlightOnDisk() > _place.CountWritesInFlight();

    private static QuenchException Refused(string device, LinuxErrorException failure) =>
        new(
            "SNAP-180",
            $"writes to {device} can't be tracked: {failure.Message}",
            failure.Errno is Errno.EPERM or Errno.EACCES
                ? "run it as root, and see whether the kernel is locked down (`cat /sys/kernel/security/lockdown`)"
                : "use a kernel of 5.12 or newer, or attach the volume through Quench (`quench attach`)",
            failure)
        {
            Effect = "nothing was written",
        };
}
