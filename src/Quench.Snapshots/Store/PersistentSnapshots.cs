using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
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

    /// <summary>The applications on the volumes, held around the freeze; null to ask none. Not asked when nothing is frozen. The caller disposes it.</summary>
    public WriterCoordination? Writers { get; init; }
}

/// <summary>The snapshot set that a snapshot was taken in: one instant.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Size">How many snapshots it had when it was taken.</param>
/// <param name="WereWritersAsked">Whether applications were asked at all.</param>
/// <param name="Writers">Those with data on the snapshot's volume.</param>
public sealed record KeptSet(Guid Id, int Size, bool WereWritersAsked, IReadOnlyList<KeptWriter> Writers);

/// <summary>What an application did when a snapshot was taken.</summary>
/// <param name="Name">Its writer's name, with the instance's where it has one.</param>
/// <param name="IsConsistent">It held over the instant, and confirmed it in time.</param>
/// <param name="Message">Why not; null when it did.</param>
/// <param name="Components">Its components on the volume.</param>
public sealed record KeptWriter(string Name, bool IsConsistent, string? Message, IReadOnlyList<string> Components);

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
    string Volume, uint Number, string Label, DateTimeOffset Instant, SnapshotGrade Grade, string? Gone, long AloneBytes, long SharedBytes, string? Device)
{
    /// <summary>Its id, for programs that want one; unique among all machines.</summary>
    public required Guid Id { get; init; }

    /// <summary>The set that it was taken in; null for one that was taken before sets were kept on record.</summary>
    public KeptSet? Set { get; init; }
}

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
    /// Takes a snapshot of each volume, all at one instant: applications quiet, all file systems frozen, all writes held, then the instants, then everything goes on. All or none.
    /// </summary>
    /// <param name="volumes">Each once.</param>
    /// <param name="options">How.</param>
    /// <param name="clock">Names the instant.</param>
    /// <param name="cancellationToken">Gives up before the instant; nothing stays behind.</param>
    /// <returns>The snapshots, in the order of the volumes. Durable in the list; what they keep survives the worker, and a detach in order.</returns>
    /// <exception cref="QuenchException">SNAP-107, SNAP-120 to SNAP-123, SNAP-131, SNAP-161 to SNAP-166: no snapshot was taken; the volumes go on.</exception>
    public static async Task<IReadOnlyList<KeptSnapshot>> CreateAsync(
        IReadOnlyList<AttachedVolume> volumes, KeepOptions options, TimeProvider clock, CancellationToken cancellationToken)
    {
        while (true)
        {
            if (await TryCreateAsync(volumes, options, clock, cancellationToken) is { } snapshots)
            {
                return snapshots;
            }
        }
    }

    /// <summary>One try. Null when the applications want another one, which they can say once or as often as they were allowed to.</summary>
    private static async Task<IReadOnlyList<KeptSnapshot>?> TryCreateAsync(
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

            string[] mountPoints = options.Freeze ? [.. MountPoints(volumes)] : [];
            await using FreezeSet freeze = await FreezeSet.StartAsync(mountPoints, cancellationToken);
            cancellationToken.ThrowIfCancellationRequested();
            WriterCoordination? writers = mountPoints.Length > 0 ? options.Writers : null;
            DateTimeOffset instant = default;
            InstantVerdict verdict = await HeldInstant.TakeAsync(
                writers,
                mountPoints,
                () =>
                {
                    instant = TakeFrozen(clients, freeze, options, clock);
                    return ValueTask.FromResult(true);
                },
                cancellationToken);
            return verdict == InstantVerdict.TryAgain ? null : KeepAll(clients, await SetNotes.MakeAsync(volumes, freeze, writers, cancellationToken), options.Label, instant);
        }
        finally
        {
            clients.ForEach(client => client.Dispose()); // whatever was not kept is given up by the worker
        }
    }

    private static DateTimeOffset TakeFrozen(List<StoreClient> clients, FreezeSet freeze, KeepOptions options, TimeProvider clock)
    {
        DateTimeOffset instant;
        try
        {
            freeze.Freeze(options.FreezeLimit);
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
        return instant;
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

    /// <summary>
    /// The files in which snapshots of attached volumes keep blocks. While a volume is attached the table of its store lies in memory, so a copy of such a file says nothing to anybody. Of
    /// detached volumes none is named.
    /// </summary>
    public static IReadOnlyList<string> FilesInUse() => [.. FilterVolumes.List().Select(FileInUse).OfType<string>()];

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
        volume.Name, snapshot.Number, snapshot.Label, snapshot.Instant, snapshot.Grade, snapshot.Gone, snapshot.AloneBytes, snapshot.SharedBytes, snapshot.Device)
    {
        Id = snapshot.Id ?? IdOf(volume.Name, snapshot),
        Set = snapshot.Set,
    };

    /// <summary>The id of one that was taken before ids were kept on record: always the same, and nobody else's.</summary>
    private static Guid IdOf(string volume, StoreSnapshot snapshot) => new(SHA256.HashData(
        Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{Environment.MachineName}/{volume}/{snapshot.Number}/{snapshot.Instant.UtcTicks}"))).AsSpan(0, 16));

    /// <summary>Keeps all of a set, or none.</summary>
    private static List<KeptSnapshot> KeepAll(List<StoreClient> clients, SetNotes notes, string label, DateTimeOffset instant)
    {
        List<KeptSnapshot> kept = [];
        try
        {
            clients.ForEach(client => kept.Add(client.Keep(label, instant, notes.GradeOf(client.Volume), notes.Of(client.Volume))));
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

    private static string? FileInUse(AttachedVolume volume)
    {
        try
        {
            StoreDirectory directory = StoreDirectory.For(volume.Name);
            return Catalogue.Read(directory.Catalogue).Store is { Seal: null } place ? directory.Blocks(place.Folder) : null;
        }
        catch (Exception failure) when (failure is JsonException or IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
