// Holds a snapshot of an attached volume and says how its diff area grows.
//
//   quench attach disk.img --name work        gives the device; mount it and use it
//   HoldSnapshot work [MEMORY_MIB FOLDER]     holds it in memory, 1 GiB unless given, and what is more in a file in the folder; prints "ready", then a line for each line it is sent; ends when its input ends
//
// While it runs, the snapshot is a file that any program can read: see the folder mount/ of the volume's run directory.
using Quench.Blocks;
using Quench.Snapshots;
using Quench.Snapshots.Providers.Filter;

AttachedVolume volume = FilterVolumes.Find(args[0]) ?? throw new ArgumentException($"no volume {args[0]} is attached");
SnapshotOptions options = new()
{
    MemoryBytes = args.Length > 1 ? long.Parse(args[1], System.Globalization.CultureInfo.InvariantCulture) << 20 : 1L << 30,
    SpillFolder = args.Length > 2 ? args[2] : null,
    CapBytes = 1L << 30,
    Freeze = volume.MountPoint is not null,
};
await using ISnapshot snapshot = await FilterProvider.TakeAsync(volume, options, TimeProvider.System, CancellationToken.None);
Console.WriteLine($"ready: {volume.Name} as of {snapshot.Instant:O}, grade {snapshot.Grade}");
while (await Console.In.ReadLineAsync() is not null)
{
    DiffAreaStatus status = await snapshot.GetStatusAsync(CancellationToken.None);
    Console.WriteLine($"{ByteSize.Format(status.UsedBytes)} of old blocks kept, {ByteSize.Format(status.PeakBytes)} at most; {status.BrokenReason ?? "sound"}");
}
