using System.Globalization;
using Quench.Blocks;
using Quench.Cli.Commands.Shadow;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Store;

namespace Quench.Cli.Output;

/// <summary>Listings in the shape that vssadmin prints, for scripts and eyes that know it. (vssadmin list shadows, list shadowstorage, list volumes)</summary>
internal static class VssAdminText
{
    private const string When = "M/d/yyyy h:mm:ss tt";

    /// <summary>Sets and the shadow copies in them.</summary>
    public static void WriteShadows(TextWriter output, string machine, IReadOnlyList<ShadowCopy> copies)
    {
        foreach (IGrouping<Guid, ShadowCopy> set in copies.GroupBy(copy => copy.SetId))
        {
            ShadowCopy first = set.First();
            output.WriteLine($"Contents of shadow copy set ID: {{{set.Key:D}}}");
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"   Contained {first.Snapshot.Set?.Size ?? 1} shadow copies at creation time: {Time(first.Snapshot.Instant)}"));
            foreach (ShadowCopy copy in set)
            {
                output.WriteLine($"      Shadow Copy ID: {{{copy.Snapshot.Id:D}}}");
                output.WriteLine($"         Original Volume: {NameOf(copy.Volume)}");
                output.WriteLine($"         Shadow Copy Volume: {copy.Snapshot.Device ?? "not exposed"}");
                output.WriteLine($"         Originating Machine: {machine}");
                output.WriteLine($"         Service Machine: {machine}");
                output.WriteLine("         Provider: 'filter'");
                output.WriteLine($"         Type: {(AskedWriters(copy.Snapshot) ? "ApplicationRollback" : "ClientAccessible")}");
                output.WriteLine($"         Attributes: {Attributes(copy.Snapshot)}");
                output.WriteLine();
            }
        }
    }

    /// <summary>Where the shadow copies of each volume keep what they need, and how full that is.</summary>
    public static void WriteStorage(TextWriter output, IEnumerable<(AttachedVolume Volume, KeptSnapshotList List)> volumes)
    {
        foreach ((AttachedVolume volume, KeptSnapshotList list) in volumes.Where(one => one.List.StoreFolder is not null))
        {
            output.WriteLine("Shadow Copy Storage association");
            output.WriteLine($"   For volume: {NameOf(volume)}");
            output.WriteLine($"   Shadow Copy Storage volume: {list.StoreFolder}");
            output.WriteLine($"   Used Shadow Copy Storage space: {Share(list.UsedBytes, volume.Length)}");
            output.WriteLine($"   Allocated Shadow Copy Storage space: {Share(list.CapBytes, volume.Length)}");
            output.WriteLine($"   Maximum Shadow Copy Storage space: {Share(list.CapBytes, volume.Length)}");
            output.WriteLine();
        }
    }

    /// <summary>The volumes that can have shadow copies.</summary>
    public static void WriteVolumes(TextWriter output, IEnumerable<AttachedVolume> volumes)
    {
        foreach (AttachedVolume volume in volumes)
        {
            output.WriteLine($"Volume path: {volume.MountPoint ?? volume.Name}");
            output.WriteLine($"    Volume name: {volume.Device}");
        }
    }

    private static bool AskedWriters(KeptSnapshot snapshot) => snapshot.Set is { WereWritersAsked: true };

    private static string Attributes(KeptSnapshot snapshot) => string.Join(
        ", ",
        ((string?[])
        [
            "Persistent",
            AskedWriters(snapshot) ? null : "Client-accessible",
            "No auto release",
            AskedWriters(snapshot) ? null : "No writers",
            "Differential",
            snapshot.Device is null ? null : "Exposed locally",
        ]).OfType<string>());

    private static string NameOf(AttachedVolume volume) => $"({volume.MountPoint ?? volume.Name}){volume.Device}";

    private static string Share(long bytes, long of) => string.Create(CultureInfo.InvariantCulture, $"{ByteSize.Format(bytes)} ({(of == 0 ? 0 : 100.0 * bytes / of):0}%)");

    private static string Time(DateTimeOffset instant) => instant.ToLocalTime().ToString(When, CultureInfo.InvariantCulture);
}
