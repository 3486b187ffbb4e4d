using System.Globalization;
using Quench.Blocks;

namespace Quench.Snapshots.Store;

/// <summary>The failures of persistent snapshots.</summary>
internal static class StoreErrors
{
    internal static QuenchException NoSuchSnapshot(string volume, uint number) =>
        new("SNAP-160", string.Create(CultureInfo.InvariantCulture, $"volume {volume} has no snapshot {number}"), $"`quench snapshot list {volume}` shows those it has");

    internal static QuenchException BeingRead(string volume) => new(
        "SNAP-132", $"somebody reads a snapshot of volume {volume}", "wait until that backup, clone or server ends, then detach")
    {
        Effect = "nothing was changed",
        CanRetry = true,
        ExitCode = 11,
    };

    internal static QuenchException Gone(string volume, uint number, string reason, Exception? cause = null) => new(
        "SNAP-161",
        string.Create(CultureInfo.InvariantCulture, $"snapshot {number} of volume {volume} is gone: {reason}"),
        string.Create(CultureInfo.InvariantCulture, $"use another; `quench snapshot delete {volume} {number}` takes it off the list"),
        cause)
    {
        Effect = "the volume itself is unaffected",
    };

    internal static QuenchException TooMany(string volume) => new(
        "SNAP-162",
        string.Create(CultureInfo.InvariantCulture, $"volume {volume} has {SlotTable.MaxSnapshots} snapshots, dropped ones included, and that is as many as there can be"),
        $"delete some: `quench snapshot list {volume}`")
    {
        Effect = "no snapshot was taken; the volume itself is unaffected",
        ExitCode = 11,
    };

    internal static QuenchException Busy(string volume) => new(
        "SNAP-163", $"another snapshot of volume {volume} is being made", "try again in a moment")
    {
        Effect = "nothing was changed",
        CanRetry = true,
        ExitCode = 11,
    };

    internal static QuenchException GateLost(string volume) => new(
        "SNAP-164", $"the writes to volume {volume} could not be held long enough, so the snapshot has no instant", "try again in a quieter hour, or allow more time with --freeze-limit")
    {
        Effect = "no snapshot was taken; the volume itself is unaffected",
        CanRetry = true,
    };

    internal static QuenchException StoreIsThere(string volume, string folder) => new(
        "SNAP-165",
        $"volume {volume} keeps its snapshots in {folder} already, and that can't be changed while it has any",
        "leave --store and --store-size out, or delete its snapshots first")
    {
        Effect = "no snapshot was taken; the volume itself is unaffected",
        ExitCode = 2,
    };

    internal static QuenchException NoStore(string volume, string reason, Exception? cause = null) => new(
        "SNAP-166", $"the snapshots of volume {volume} have no place: {reason}", "choose another folder with --store, or less room with --store-size", cause)
    {
        Effect = "no snapshot was taken; the volume itself is unaffected",
    };

    internal static QuenchException Exposed(string volume, uint number, string device) => new(
        "SNAP-167",
        string.Create(CultureInfo.InvariantCulture, $"snapshot {number} of volume {volume} is exposed as {device}"),
        string.Create(CultureInfo.InvariantCulture, $"unmount it, then `quench snapshot unexpose {volume} {number}`"))
    {
        Effect = "nothing was changed",
        ExitCode = 11,
    };

    internal static QuenchException InUse(string volume, string device) => new(
        "SNAP-168",
        $"{device}, which shows a snapshot of volume {volume}, is mounted or open",
        "unmount it first; `fuser -vm` shows who uses it")
    {
        Effect = "nothing was changed",
        CanRetry = true,
        ExitCode = 11,
    };

    internal static QuenchException CatalogueDamaged(string path, Exception cause) => new(
        "SNAP-169", $"the list of snapshots in {path} can't be used: {cause.Message}", "look at that file and its disk; with the file removed the volume begins without snapshots", cause)
    {
        Effect = "the volume itself is unaffected, but its snapshots can't be used",
    };

    internal static QuenchException NoRoomToRevert(string volume, uint number, long needed, long free) => new(
        "SNAP-170",
        string.Create(CultureInfo.InvariantCulture, $"going back to snapshot {number} of volume {volume} takes {ByteSize.Format(needed)} for the snapshots after it, and the store has {ByteSize.Format(free)} left"),
        "delete snapshots that you don't need, the newest first")
    {
        Effect = "nothing was written",
    };

    internal static QuenchException VolumeInUse(string volume, Exception? cause = null) => new(
        "SNAP-171", $"volume {volume} is mounted or open, so it can't be taken back to a snapshot", "unmount it first; `fuser -vm` shows who uses it", cause)
    {
        Effect = "nothing was written",
        ExitCode = 11,
    };
}
