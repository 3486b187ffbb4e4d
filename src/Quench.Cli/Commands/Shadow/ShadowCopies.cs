using Quench.Blocks;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Store;

namespace Quench.Cli.Commands.Shadow;

/// <summary>A shadow copy: a persistent snapshot and the volume that it is of.</summary>
/// <param name="Volume">Attached and served.</param>
/// <param name="Snapshot">One of its snapshots.</param>
internal sealed record ShadowCopy(AttachedVolume Volume, KeptSnapshot Snapshot)
{
    /// <summary>The set that it is listed under: its own id where no set is on record.</summary>
    public Guid SetId => Snapshot.Set?.Id ?? Snapshot.Id;
}

/// <summary>The shadow copies of this machine, by their ids.</summary>
internal static class ShadowCopies
{
    private const int ShortestPrefix = 4;

    /// <summary>All of them, oldest first.</summary>
    /// <param name="measured">Count what each holds, which takes a moment with a large store.</param>
    public static IReadOnlyList<ShadowCopy> All(bool measured) =>
        [.. FilterVolumes.List()
            .Where(volume => volume.State == AttachmentState.Serving)
            .SelectMany(volume => PersistentSnapshots.List(volume, measured).Snapshots.Select(snapshot => new ShadowCopy(volume, snapshot)))
            .OrderBy(copy => copy.Snapshot.Instant)];

    /// <summary>The copies that an id names: one by its own, or all of a set by the set's.</summary>
    /// <param name="id">With braces or without, in any case; the first digits do where they are nobody else's.</param>
    /// <param name="measured">As in <see cref="All"/>.</param>
    /// <exception cref="QuenchException">SNAP-160: there is none, or the digits are those of several.</exception>
    public static IReadOnlyList<ShadowCopy> Find(string id, bool measured = false)
    {
        string digits = id.Trim('{', '}').ToUpperInvariant();
        IReadOnlyList<ShadowCopy> all = All(measured);
        ShadowCopy[][] found = digits.Length < ShortestPrefix ? [] :
        [
            .. all.Where(copy => Begins(copy.Snapshot.Id, digits)).Select(copy => (ShadowCopy[])[copy]),
            .. all.Where(copy => copy.Snapshot.Set is { } set && Begins(set.Id, digits)).GroupBy(copy => copy.SetId).Select(set => set.ToArray()),
        ];
        return found.Length == 1
            ? found[0]
            : throw new QuenchException(
                "SNAP-160",
                found.Length == 0 ? $"there is no shadow copy or set {id} on an attached volume" : $"{id} is the beginning of {found.Length} ids",
                "see `quench shadow list`, and give the id of a shadow copy or of a set, four digits at least")
            {
                Effect = "nothing was touched",
            };
    }

    private static bool Begins(Guid id, string digits) => id.ToString("D").StartsWith(digits, StringComparison.OrdinalIgnoreCase);
}
