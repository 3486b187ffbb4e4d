using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Interop.Block;
using Quench.Interop.Bpf;
using Quench.Interop.Linux;
using Quench.Interop.Memory;

namespace Quench.Snapshots.Providers.Tracked;

/// <summary>
/// Knows which blocks of a mounted device were written, discarded or zeroed since it was last asked. Two programs in the kernel mark blocks when a request is
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

    private readonly string _device;
    private readonly DiskPlace _place;
    private readonly TrackerTarget _target;
    private readonly TrackerMaps _maps;
    private readonly SafeFileHandle _handle;
    private readonly NativeBuffer _sector;
    private readonly List<BpfProgram> _programs = [];
    private ulong _missesSeen;
    private ulong _lostSeen;
    private ulong _unknownSeen;

    private DeviceTracker(string device, DiskPlace place, TrackerTarget target, TrackerMaps maps, SafeFileHandle handle)
    {
        (_device, _place, _target, _maps, _handle) = (device, place, target, maps, handle);
        _sector = new NativeBuffer(BlockDevice.GetLogicalSectorSize(handle));
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
        RequestLayout layout = RequestLayout.OfThisKernel();
        TrackerTarget target = new(place.Disk.Major, place.Disk.Minor, place.Start, place.Length, blockSize);
        SafeFileHandle? handle = null;
        TrackerMaps? maps = null;
        DeviceTracker? tracker = null;
        try
        {
            handle = NativeFile.Open(device, OpenMode.ReadOnly | OpenMode.Direct);
            maps = new TrackerMaps(target, logEntries);
            tracker = new DeviceTracker(device, place, target, maps, handle);
            tracker.Attach(layout);
            return tracker;
        }
        catch (Exception failure)
        {
            if (tracker is not null)
            {
                tracker.Dispose();
            }
            else
            {
                maps?.Dispose();
                handle?.Dispose();
            }

            if (failure is LinuxErrorException refused)
            {
                throw Refused(device, refused);
            }

            throw;
        }
    }

    /// <summary>Takes what has been marked since the last harvest.</summary>
    /// <param name="into">A bit for each block; the marked ones are set, the others stay as they are.</param>
    /// <returns>
    /// Null when the marks are complete. Otherwise why a write may be missing, in one sentence: then every block may have changed since the harvest before.
    /// </returns>
    /// <exception cref="QuenchException">SNAP-183: the device is not the one any more that the tracker was started for.</exception>
    public string? Harvest(BlockBitmap into)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(into.Length, _target.Blocks);
        TakeBits(into);
        TakeLog(into);
        DemandSamePlace();
        return Doubt(); // asked last: what was lost before the harvest has been counted by now
    }

    /// <summary>Stops hearing, as if the kernel had dropped the programs: for tests of what is noticed then.</summary>
    internal void Detach() => _programs.ForEach(program => program.Detach());

    /// <inheritdoc/>
    public void Dispose()
    {
        _programs.ForEach(program => program.Dispose());
        _maps.Dispose();
        ((IDisposable)_sector).Dispose();
        _handle.Dispose();
    }

    private void Attach(RequestLayout layout)
    {
        AttachOne("quench_landed", TrackerProgram.ForCompletion(layout, _target, _maps), RequestLayout.Completion);
        AttachOne("quench_queued", TrackerProgram.ForSubmission(layout, _target, _maps), RequestLayout.Submission);
        if (Doubt() is { } reason)
        {
            throw new QuenchException("SNAP-180", $"writes to {_device} can't be tracked: {reason}", "see the kernel's log (dmesg)")
            {
                Effect = "nothing was written",
            };
        }
    }

    private void AttachOne(string name, ulong[] code, string tracepoint)
    {
        BpfProgram program = BpfProgram.Load(name, code);
        _programs.Add(program);
        program.AttachTo(tracepoint);
    }

    private void TakeBits(BlockBitmap into)
    {
        for (int word = _maps.Bits.NextNonZero(0); word < _maps.Bits.Length; word = _maps.Bits.NextNonZero(word + 1))
        {
            ulong bits = _maps.Bits.Exchange(word, 0);
            for (long first = (long)word * 64; bits != 0; bits &= bits - 1)
            {
                into.Set(first + System.Numerics.BitOperations.TrailingZeroCount(bits));
            }
        }
    }

    /// <summary>Empties the ring. An entry that a program has taken and not filled yet is waited for: it runs on another processor at this moment.</summary>
    private void TakeLog(BlockBitmap into)
    {
        ulong head = _maps[TrackerWord.LogHead];
        ulong tail = _maps[TrackerWord.LogTail];
        if (head - tail > (ulong)_maps.LogEntries)
        {
            // More was taken than there is room for; what did not fit has been counted as lost. The entries that are there are read, the head is met.
            Read(tail, tail + (ulong)_maps.LogEntries, into);
        }
        else
        {
            Read(tail, head, into);
        }

        _maps.Control.Write((int)TrackerWord.LogTail, head);
    }

    private void Read(ulong from, ulong to, BlockBitmap into)
    {
        for (ulong entry = from; entry < to; entry++)
        {
            int word = (int)(entry & (ulong)(_maps.LogEntries - 1)) * TrackerMaps.LogEntryWords;
            SpinWait wait = default;
            while (_maps.Log.Read(word) == 0)
            {
                wait.SpinOnce(sleep1Threshold: -1);
            }

            into.SetRange((long)_maps.Log.Read(word + 1), (long)_maps.Log.Exchange(word, 0));
        }
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

    /// <summary>Compares the counters of loss with what they were, then reads a sector past the cache and sees whether both programs hear it.</summary>
    private string? Doubt()
    {
        string? doubt = Grew(ref _missesSeen, _programs.Aggregate(0UL, (sum, program) => sum + program.CountMisses())) is > 0 and ulong misses
            ? $"the kernel left the tracker out {misses} times"
            : null;
        doubt = Grew(ref _lostSeen, _maps[TrackerWord.Lost]) is > 0 and ulong lost ? $"{lost} writes could not be noted" : doubt;
        doubt = Grew(ref _unknownSeen, _maps[TrackerWord.Unknown]) is > 0 and ulong unknown ? $"{unknown} requests of an unknown kind changed the disk" : doubt;
        return HearsItself() ? doubt : "the tracker's programs do not run any more";
    }

    private bool HearsItself()
    {
        ulong submitted = _maps[TrackerWord.HeardSubmitted];
        ulong completed = _maps[TrackerWord.HeardCompleted];
        _maps.Control.Write((int)TrackerWord.Listen, 1);
        NativeFile.ReadExactly(_handle, _sector.GetSpan(), 0);
        _maps.Control.Write((int)TrackerWord.Listen, 0);
        return _maps[TrackerWord.HeardSubmitted] != submitted && _maps[TrackerWord.HeardCompleted] != completed;
    }

    private static ulong Grew(ref ulong seen, ulong now)
    {
        ulong growth = now - seen;
        seen = now;
        return growth;
    }

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
