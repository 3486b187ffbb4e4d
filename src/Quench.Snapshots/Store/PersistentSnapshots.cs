using System.Globalization;
using Quench.Blocks;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Providers.Filter;

namespace Quench.Snapshots.Store;

/// <summary>How to make persistent snapshots.</summary>
public sealed record KeepOptions
{
    /// <summary>A few words to know it by; empty for none.</summary>
    public string Label { get; init; } = "";

    /// <summary>The folder of the store, when the volume has none yet; null for the machine's state directory. Not on a volume of the set.</summary>
    public string? StoreFolder { get; init; }

    /// <summary>The most the store may hold, in bytes, when the volume has none yet; null for a tenth of the volume, but no more than half of what is free.</summary>
    public long? StoreBytes { get; init; }

    /// <summary>Freeze the file systems that are mounted on the volumes.</summary>
    public bool Freeze { get; init; } = true;

    /// <summary>How long writers may be held.</summary>
    public TimeSpan FreezeLimit { get; init; } = TimeSpan.FromSeconds(5);
}

/// <summary>A persistent snapshot.</summary>
/// <param name="Volume">The attached volume's name.</param>
/// <param name="Number">Its number among the volume's; never used twice.</param>
/// <param name="Label">What its maker called it; empty when nothing.</param>
/// <param name="Instant">The moment that it shows.</param>
/// <param name="Grade">How much quiet that moment had.</param>
/// <param name="Gone">Why it can't be read any more; null when it can.</param>
/// <param name="AloneBytes">What deleting it would free. 0 when not measured.</param>
/// <param name="SharedBytes">What it needs that other snapshots need too. 0 when not measured.</param>
/// <param name="Device">The block device that shows it; null when none does.</param>
public sealed record KeptSnapshot(
    string Volume, uint Number, string Label, DateTimeOffset Instant, SnapshotGrade Grade, string? Gone, long AloneBytes, long SharedBytes, string? Device);

/// <summary>A volume's persistent snapshots and their store.</summary>
/// <param name="Snapshots">All of them, also those that are gone and that nobody has deleted yet; oldest first.</param>
/// <param name="StoreFolder">The folder of the store; null when there is none.</param>
/// <param name="UsedBytes">Bytes of kept blocks.</param>
/// <param name="CapBytes">The most it holds; then the oldest snapshot is dropped.</param>
/// <param name="BytesPerSecond">How fast it has filled over the last ten minutes.</param>
public sealed record KeptSnapshotList(IReadOnlyList<KeptSnapshot> Snapshots, string? StoreFolder, long UsedBytes, long CapBytes, double BytesPerSecond)
{
    /// <summary>When the store is full if it goes on like this; null when it does not fill at all.</summary>
    public TimeSpan? TimeToOverflow => BytesPerSecond > 0 ? TimeSpan.FromSeconds(Math.Min((CapBytes - UsedBytes) / BytesPerSecond, TimeSpan.FromDays(36500).TotalSeconds)) : null;
}

/// <summary>
/// Snapshots of attached volumes that live until they are deleted. Any number of volumes can have one at the same instant; several snapshots of one
/// volume share what they keep.
/// </summary>
public static class PersistentSnapshots
{
    /// <summary>
    /// Takes a snapshot of each volume, all at one instant: all file systems frozen, all writes held, then the instants, then everything goes on. All or none.
    /// </summary>
    /// <param name="volumes">Each once.</param>
    /// <param name="options">How.</param>
    /// <param name="clock">Names the instant.</param>
    /// <param name="cancellationToken">Gives up before the instant; nothing stays behind.</param>
    /// <returns>The snapshots, in the order of the volumes. Durable in the list; what they keep survives the worker, and a detach in order.</returns>
    /// <exception cref="QuenchException">SNAP-107, SNAP-120 to SNAP-122, SNAP-131, SNAP-161 to SNAP-166: no snapshot was taken; the volumes go on.</exception>
    public static async Task<IReadOnlyList<KeptSnapshot>> CreateAsync(
        IReadOnlyList<AttachedVolume> volumes, KeepOptions options, TimeProvider clock, CancellationToken cancellationToken)
    {
        List<StoreClient> clients = [];
        try
        {
            foreach (AttachedVolume volume in volumes)
            {
                DemandElsewhere(volumes, volume, options.StoreFolder);
                clients.Add(StoreClient.Connect(volume));
                clients[^1].Begin(options);
            }

            await using FreezeSet freeze = await FreezeSet.StartAsync(options.Freeze ? MountPoints(volumes) : [], cancellationToken);
            cancellationToken.ThrowIfCancellationRequested();
            DateTimeOffset instant;
            freeze.Freeze(options.FreezeLimit);
            try
            {
                clients.ForEach(client => client.CloseGate(options.FreezeLimit));
                clients.ForEach(client => client.Take());
                instant = clock.GetUtcNow();
                clients.ForEach(client => client.OpenGate());
            }
            finally
            {
                freeze.ThawQuietly();
            }

            freeze.DemandHeld();
            return KeepAll(clients, client => client.Keep(options.Label, instant, client.Volume.MountPoint is { } mountPoint && freeze.Holds(mountPoint) ? SnapshotGrade.FileSystem : SnapshotGrade.Crash));
        }
        finally
        {
            clients.ForEach(client => client.Dispose()); // whatever was not kept is given up by the worker
        }
    }

    /// <summary>The snapshots of a volume.</summary>
    /// <param name="volume">Attached.</param>
    /// <param name="measured">Count what each holds, which takes a moment with a large store.</param>
    public static KeptSnapshotList List(AttachedVolume volume, bool measured)
    {
        using StoreClient client = StoreClient.Connect(volume);
        StoreReply reply = client.Ask("store-list", new StoreRequest { IsMeasured = measured });
        return new KeptSnapshotList(
            [.. reply.Snapshots.Select(snapshot => Public(volume, snapshot))], reply.Folder, reply.UsedBytes, reply.CapBytes, reply.BytesPerSecond);
    }

    /// <summary>Finds a snapshot by its number or its label.</summary>
    /// <exception cref="QuenchException">SNAP-160: there is none, or several have that label.</exception>
    public static KeptSnapshot Find(AttachedVolume volume, string what)
    {
        KeptSnapshot[] found = [.. List(volume, measured: false).Snapshots.Where(snapshot =>
            snapshot.Label == what || snapshot.Number.ToString(CultureInfo.InvariantCulture) == what)];
        return found.Length == 1
            ? found[0]
            : throw new QuenchException(
                "SNAP-160",
                found.Length == 0 ? $"volume {volume.Name} has no snapshot {what}" : $"volume {volume.Name} has {found.Length} snapshots called {what}",
                $"name it by its number: `quench snapshot list {volume.Name}`");
    }

    /// <summary>Deletes a snapshot, or takes one that is gone off the list.</summary>
    /// <exception cref="QuenchException">SNAP-160, SNAP-167: there is none; it is exposed.</exception>
    public static void Delete(AttachedVolume volume, uint number) => Ask(volume, "store-delete", number);

    /// <summary>Shows a snapshot as a read-only block device until it is taken back or the machine stops.</summary>
    /// <returns>The device's path.</returns>
    /// <exception cref="QuenchException">SNAP-160, SNAP-161: there is none, or it is gone.</exception>
    public static string Expose(AttachedVolume volume, uint number) => Ask(volume, "store-expose", number).Path!;

    /// <summary>Takes the device away. Nothing happens when there is none.</summary>
    /// <exception cref="QuenchException">SNAP-160, SNAP-168: there is no such snapshot; its device is in use.</exception>
    public static void Unexpose(AttachedVolume volume, uint number) => Ask(volume, "store-unexpose", number);

    /// <summary>Opens a snapshot for reading, without a device.</summary>
    /// <exception cref="QuenchException">SNAP-160, SNAP-161: there is none, or it is gone.</exception>
    public static OpenSnapshot Open(AttachedVolume volume, uint number) => OpenSnapshot.Open(volume, number);

    /// <summary>Where those are mounted that are, in the order of freezing.</summary>
    private static IEnumerable<string> MountPoints(IReadOnlyList<AttachedVolume> volumes) =>
        FreezeSet.InOrder(volumes, (volume, other) => other.Holds(volume.Origin)).Select(volume => volume.MountPoint).OfType<string>();

    private static ControlReply Ask(AttachedVolume volume, string op, uint number)
    {
        using StoreClient client = StoreClient.Connect(volume);
        return client.AskPlain(op, new StoreRequest { Number = number });
    }

    private static KeptSnapshot Public(AttachedVolume volume, StoreSnapshot snapshot) => new(
        volume.Name, snapshot.Number, snapshot.Label, snapshot.Instant, snapshot.Grade, snapshot.Gone, snapshot.AloneBytes, snapshot.SharedBytes, snapshot.Device);

    /// <summary>Keeps all of a set, or none.</summary>
    private static List<KeptSnapshot> KeepAll(List<StoreClient> clients, Func<StoreClient, KeptSnapshot> keep)
    {
        List<KeptSnapshot> kept = [];
        try
        {
            clients.ForEach(client => kept.Add(keep(client)));
            return kept;
        }
        catch
        {
            for (int index = 0; index < kept.Count; index++)
            {
                clients[index].AskPlain("store-delete", new StoreRequest { Number = kept[index].Number });
            }

            throw;
        }
    }

    /// <summary>A store on a volume of the set would wait for itself.</summary>
    private static void DemandElsewhere(IReadOnlyList<AttachedVolume> volumes, AttachedVolume volume, string? chosen)
    {
        string folder = chosen is null ? StoreDirectory.For(volume.Name).Folder : Path.GetFullPath(chosen);
        while (!Directory.Exists(folder) && chosen is null)
        {
            folder = Path.GetDirectoryName(folder)!; // the usual place may have to be made yet
        }

        if (volumes.FirstOrDefault(member => member.Holds(folder)) is { } holder)
        {
            throw new QuenchException("SNAP-107", $"the store {folder} lies on volume {holder.Name}, of which a snapshot is to be taken", "choose a folder on another file system with --store")
            {
                ExitCode = 2,
                Effect = "no snapshot was taken; the volume itself is unaffected",
            };
        }
    }
}
