using Quench.Interop.Linux;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>How an attached volume is doing.</summary>
public enum AttachmentState
{
    /// <summary>Its worker serves it.</summary>
    Serving,

    /// <summary>Its worker is gone: the device answers errors. Unmount and detach it.</summary>
    Dead,
}

/// <summary>A volume whose I/O runs through the filter.</summary>
/// <param name="Name">The name it was attached under.</param>
/// <param name="Origin">The device or image file it stands on.</param>
/// <param name="Device">The block device to use instead of it.</param>
/// <param name="Length">Bytes.</param>
/// <param name="MountPoint">Where the device is mounted now; null when it is not.</param>
/// <param name="State">Whether it is served.</param>
public sealed record AttachedVolume(string Name, string Origin, string Device, long Length, string? MountPoint, AttachmentState State)
{
    /// <summary>Whether a file or folder lies on this very volume.</summary>
    public bool Holds(string path) =>
        NativeFile.TryGetStatus(path) is { } place && NativeFile.TryGetStatus(Device) is { } device && device.SpecialDevice == place.Device;
}

/// <summary>What an attached volume remembers for the next backup.</summary>
/// <param name="IsOn">Whether its changes are tracked.</param>
/// <param name="Reason">Why they are not, or why earlier points were forgotten; null when all is well.</param>
/// <param name="Point">The point that was remembered last; null when there is none.</param>
/// <param name="ChangedBytes">What changed since that point, in whole regions of 64 KiB; null with no point.</param>
/// <param name="DoubtfulBytes">What will be compared again because a crash lost count.</param>
public sealed record VolumeTracking(bool IsOn, string? Reason, Guid? Point, long? ChangedBytes, long DoubtfulBytes);

/// <summary>How the worker of an attached volume is doing.</summary>
/// <param name="IsSupervised">Whether another worker takes over when this one dies.</param>
/// <param name="WorkerId">The process that serves now.</param>
/// <param name="HasStandby">Whether another process is warm and waits to take over.</param>
/// <param name="Restarts">How often a worker died, or was killed because it hung, and another one took over.</param>
/// <param name="Hangs">How many of those hung.</param>
/// <param name="Upgrades">How often a worker was replaced in order.</param>
/// <param name="LastChange">Why it was replaced the last time; null when it never was.</param>
/// <param name="LastChangeTime">When that was.</param>
/// <param name="PassThrough">Why the volume goes on without snapshots and tracking; null when it has full service.</param>
/// <param name="PassThroughSince">Since when.</param>
/// <param name="NextTry">When full service is tried again by itself.</param>
public sealed record VolumeSupervision(
    bool IsSupervised, int WorkerId, bool HasStandby, int Restarts, int Hangs, int Upgrades, string? LastChange, DateTimeOffset? LastChangeTime,
    string? PassThrough, DateTimeOffset? PassThroughSince, DateTimeOffset? NextTry);

/// <summary>How to attach a volume.</summary>
public sealed record AttachOptions
{
    /// <summary>How many requests may be in work at once.</summary>
    public int Threads { get; init; } = 8;

    /// <summary>
    /// Replace a worker that dies or hangs. Without it, which only a kernel too old for that needs, the device answers errors when the worker dies.
    /// </summary>
    public bool IsSupervised { get; init; } = true;

    /// <summary>How long a request may make no progress in the worker, the origin's own I/O aside, before the worker is replaced.</summary>
    public TimeSpan HangLimit { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>Track changes, so that a later backup reads only what changed. Without it, what was remembered of the volume is forgotten.</summary>
    public bool TracksChanges { get; init; } = true;
}

/// <summary>How to take a snapshot of an attached volume.</summary>
public sealed record SnapshotOptions
{
    /// <summary>Memory of the diff area, in bytes; locked into RAM while the snapshot lives.</summary>
    public long MemoryBytes { get; init; } = 256L << 20;

    /// <summary>A folder for the spill file, used when the memory is full; null for none. Not on the volume itself.</summary>
    public string? SpillFolder { get; init; }

    /// <summary>The most the diff area may hold, memory and spill file together, in bytes; null for the memory and, in the spill folder, a tenth of the volume but no more than half of what is free there.</summary>
    public long? CapBytes { get; init; }

    /// <summary>Freeze the file system that is mounted on the volume.</summary>
    public bool Freeze { get; init; } = true;

    /// <summary>How long the freeze may last.</summary>
    public TimeSpan FreezeLimit { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long taking the snapshot may take in all, the wait for quiet not included.</summary>
    public TimeSpan TakeLimit { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>When the diff area is full: hold writers for so long, each at most, in the hope that imaging frees room. Zero breaks the snapshot at once.</summary>
    public TimeSpan HoldLimit { get; init; }

    /// <summary>Take the snapshot in a pause between writes; null takes it as it comes.</summary>
    public QuietWait? Quiet { get; init; }

    /// <summary>Whether the machine's own root may be frozen, when that is the volume.</summary>
    public bool FreezeRoot { get; init; }

    /// <summary>The applications on the volume, held around the freeze; null to ask none. Not asked when nothing is frozen: what they wrote may not be on the disk then.</summary>
    public Coordination.IApplicationWriters? Writers { get; init; }

    /// <summary>Whether a tracker stays with a mounted device after the backup; not looked at for an attached volume, which is attached with tracking or without.</summary>
    public bool TracksChanges { get; init; } = true;
}
