namespace Quench.FileSystems;

/// <summary>What holds for every file system that has no journal and marks its volume while it is mounted.</summary>
internal static class WithoutJournal
{
    /// <summary>The state of one that may carry the mark, and another that says that its disk had errors: with that one it is not sound, whoever holds it.</summary>
    public static FileSystemState StateOf(bool isMarked, bool hadErrors, VolumeCondition condition) =>
        hadErrors ? FileSystemState.Unsound
        : isMarked ? StateOf(condition)
        : FileSystemState.Clean;

    /// <summary>
    /// The state of one that carries the mark. Frozen it is in order on the disk and running it is in need of recovery, so that neither has to be
    /// forced; at rest it was left in the middle of something.
    /// </summary>
    public static FileSystemState StateOf(VolumeCondition condition) => condition switch
    {
        VolumeCondition.Frozen => FileSystemState.Clean,
        VolumeCondition.Running => FileSystemState.NeedsRecovery,
        _ => FileSystemState.Unsound,
    };

    /// <summary>
    /// Why its map is not believed; null when it is. A volume may have been mounted unchecked after a crash, so the mark stands for that too,
    /// and one that is being written has its map behind its files, with the mark or without.
    /// </summary>
    public static string? DoubtOf(bool isMarked, VolumeCondition condition, string type) => (isMarked, condition) switch
    {
        (_, VolumeCondition.Running) => $"the {type} file system was in use, not frozen and without a journal, so its map may lag behind its files",
        (true, VolumeCondition.Frozen) => $"the {type} file system is mounted and has no journal, so nothing on it vouches for the map that it was mounted with",
        (true, _) => $"the {type} file system was not unmounted in order, and nothing says what its map lacks; check it",
        _ => null,
    };
}
