using Quench.Snapshots.Providers.Filter;

namespace Quench.Snapshots.Store;

/// <summary>Where a volume's persistent snapshots are.</summary>
/// <remarks>
/// <code>
/// /var/lib/quench/snapshots/NAME/           QUENCH_STATE_DIR puts it elsewhere
///     catalogue.json                        which snapshots there are, and where the store is
/// FOLDER/                                   the user's choice; the folder above when there was none
///     quench-snapshots-NAME.blocks          the kept blocks
///     quench-snapshots-NAME.table           what is in which slot, while the volume is detached
/// /run/quench/volumes/NAME/
///     snapshots.table                       the same while it is attached, mapped: it outlives the worker, and no reboot
///     snapshots.ring                        blocks that are not in the data file yet, mapped
/// </code>
/// </remarks>
internal sealed record StoreDirectory(string Name, string Folder)
{
    internal string Catalogue => Path.Combine(Folder, "catalogue.json");

    internal static StoreDirectory For(string name) =>
        new(name, Path.Combine(Path.GetDirectoryName(Path.GetDirectoryName(StateDirectory.For(name).Folder)!)!, "snapshots", name));

    internal static string MappedTable(FilterDirectory run) => Path.Combine(run.Folder, "snapshots.table");

    internal static string MappedRing(FilterDirectory run) => Path.Combine(run.Folder, "snapshots.ring");

    internal string Blocks(string folder) => Path.Combine(folder, $"quench-snapshots-{Name}.blocks");

    internal string SealedTable(string folder) => Path.Combine(folder, $"quench-snapshots-{Name}.table");
}
