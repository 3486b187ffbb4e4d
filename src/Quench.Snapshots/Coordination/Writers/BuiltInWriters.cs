namespace Quench.Snapshots.Coordination.Writers;

/// <summary>The writers that come with Quench.</summary>
public static class BuiltInWriters
{
    /// <summary>Their sources, in the order in which listings show them.</summary>
    public static IReadOnlyList<IWriterSource> All { get; } = [];
}
