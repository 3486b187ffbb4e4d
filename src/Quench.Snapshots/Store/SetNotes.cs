using Quench.Snapshots.Coordination;
using Quench.Snapshots.Providers.Filter;

namespace Quench.Snapshots.Store;

/// <summary>What the snapshots of one set say about themselves: how each was held, and by whom.</summary>
internal sealed class SetNotes
{
    private readonly FreezeSet _freeze;
    private readonly WriterCoordination? _writers;
    private readonly IReadOnlyList<WriterReport> _reports;
    private readonly Guid _id;
    private readonly int _size;

    private SetNotes(FreezeSet freeze, WriterCoordination? writers, IReadOnlyList<WriterReport> reports, int size)
    {
        (_freeze, _writers, _reports, _size) = (freeze, writers, reports, size);
        _id = writers?.SetId ?? Guid.NewGuid();
    }

    /// <summary>Waits until the applications have handed over what they owe.</summary>
    internal static async Task<SetNotes> MakeAsync(IReadOnlyList<AttachedVolume> volumes, FreezeSet freeze, WriterCoordination? writers, CancellationToken cancellationToken) =>
        new(freeze, writers, writers is null ? [] : await writers.SettleAsync(cancellationToken), volumes.Count);

    /// <summary>What happened to a volume, no better than it was.</summary>
    internal SnapshotGrade GradeOf(AttachedVolume volume)
    {
        SnapshotGrade held = volume.MountPoint is { } mountPoint && _freeze.Holds(mountPoint) ? SnapshotGrade.FileSystem : SnapshotGrade.Crash;
        return _writers is null ? held : GradeRule.OfVolume(volume.Name, held, _reports, _writers.Places);
    }

    /// <summary>The set as it is written down with a volume's snapshot.</summary>
    internal KeptSet Of(AttachedVolume volume) => new(_id, _size, _writers is not null, [.. Writers(volume.Name)]);

    private IEnumerable<KeptWriter> Writers(string volume)
    {
        for (int index = 0; index < _reports.Count; index++)
        {
            WriterReport report = _reports[index];
            string[] here = report.Metadata is not { } metadata ? [] : [.. metadata.Components.Select(component => component.Name).Where(name => _writers!.Places.Of(index, name).Volumes.Contains(volume))];
            if (here.Length > 0 || report.Metadata is null)
            {
                yield return new KeptWriter(report.Identity.ToString(), report.IsConsistent, report.Message, here);
            }
        }
    }
}
