namespace Quench.Snapshots.Coordination;

/// <summary>
/// What really happened, as grades. A volume is application consistent only if an application on it was held, and every application that has data there was: held, whole within the set, and
/// over frozen file systems. In doubt the lower one.
/// </summary>
public static class GradeRule
{
    /// <summary>A volume's grade.</summary>
    /// <param name="volume">Its name.</param>
    /// <param name="held">How its file system was held.</param>
    /// <param name="writers">All that were found. One that did not say what it owns may own something here.</param>
    /// <param name="places">Where their components lie.</param>
    public static SnapshotGrade OfVolume(string volume, SnapshotGrade held, IReadOnlyList<WriterReport> writers, ComponentPlaces places)
    {
        if (held == SnapshotGrade.Crash)
        {
            return held;
        }

        bool isAny = false;
        for (int index = 0; index < writers.Count; index++)
        {
            if (writers[index].Metadata is not { } metadata)
            {
                return SnapshotGrade.FileSystem;
            }

            foreach (ComponentPlace place in metadata.Components.Select(component => places.Of(index, component.Name)).Where(place => place.Volumes.Contains(volume)))
            {
                if (!place.IsWhole || !writers[index].IsConsistent)
                {
                    return SnapshotGrade.FileSystem;
                }

                isAny = true;
            }
        }

        return isAny ? SnapshotGrade.Application : SnapshotGrade.FileSystem;
    }

    /// <summary>A component's grade: that of its writer, but no better than the worst of the volumes that it lies on.</summary>
    /// <param name="writer">Its writer.</param>
    /// <param name="place">Where it lies.</param>
    /// <param name="held">How each volume's file system was held, by the volume's name.</param>
    public static SnapshotGrade OfComponent(WriterReport writer, ComponentPlace place, IReadOnlyDictionary<string, SnapshotGrade> held)
    {
        bool isFrozen = place.Volumes.Count > 0 && place.Volumes.All(volume => held.TryGetValue(volume, out SnapshotGrade grade) && grade != SnapshotGrade.Crash);
        return !isFrozen ? SnapshotGrade.Crash
            : writer.IsConsistent && place.IsWhole ? SnapshotGrade.Application
            : SnapshotGrade.FileSystem;
    }
}
