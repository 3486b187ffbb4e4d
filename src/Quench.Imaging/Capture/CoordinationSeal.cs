using Quench.Snapshots;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Documents;
using Quench.Vault;

namespace Quench.Imaging.Capture;

/// <summary>Turns what the writers did into what a point says of it: grades, the record, the two documents.</summary>
internal static class CoordinationSeal
{
    /// <summary>Waits until the writers have handed over what they owe, and grades the volumes.</summary>
    /// <param name="request">Has the writers, and the user's commands that were run.</param>
    /// <param name="captured">The volumes as the provider left them.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The volumes with their grades, and the record; null when there was no application on them and no command.</returns>
    public static async Task<(IReadOnlyList<VolumeRecord> Volumes, CoordinationRecord? Record)> MakeAsync(
        CaptureRequest request, IReadOnlyList<CapturedVolume> captured, CancellationToken cancellationToken)
    {
        VolumeRecord[] volumes = [.. captured.Select(volume => volume.Record)];
        IReadOnlyList<HookRecord> hooks = request.Hooks();
        if (request.Writers is not { Tries: > 0 } coordination)
        {
            return (volumes, hooks.Count == 0 ? null : new CoordinationRecord { Set = Guid.Empty, Writers = [], Hooks = hooks });
        }

        IReadOnlyList<WriterReport> reports = await coordination.SettleAsync(cancellationToken);
        ComponentPlaces places = coordination.Places;
        Dictionary<string, SnapshotGrade> held = captured.ToDictionary(volume => volume.Record.Name, volume => volume.Snapshot.Grade);
        bool isAny = reports.Where((_, index) => places.TouchesSet(index)).Any();
        if (!isAny && hooks.Count == 0)
        {
            return (volumes, null);
        }

        volumes = [.. volumes.Select(volume => volume with { Grade = GradeText.Of(GradeRule.OfVolume(volume.Name, held[volume.Name], reports, places)) })];
        BackedUpComponent[][] components = [.. reports.Select((report, index) => Components(report, index, places, held))];
        CoordinationRecord record = new()
        {
            Set = coordination.SetId,
            Tries = coordination.Tries,
            WriterLimitMilliseconds = coordination.Limits.Writers.TotalMilliseconds,
            ProviderLimitMilliseconds = coordination.Limits.Provider.TotalMilliseconds,
            Writers = [.. reports.Select((report, index) => (report, index)).Where(one => places.TouchesSet(one.index)).Select(one => Describe(one.report, components[one.index]))],
            Hooks = hooks,
            MetadataDocument = WriterMetadataDocument.Write(reports),
            ComponentsDocument = BackupComponentsDocument.Write(coordination.SetId, [.. volumes.Select(volume => (volume.Name, volume.Source, volume.Grade))], reports, index => components[index]),
        };
        return (volumes, record);
    }

    private static BackedUpComponent[] Components(WriterReport report, int index, ComponentPlaces places, Dictionary<string, SnapshotGrade> grades) =>
        report.Metadata is not { } metadata
            ? []
            : [.. metadata.Components
                .Select(component => (component.Name, Place: places.Of(index, component.Name)))
                .Where(component => component.Place.Volumes.Count > 0)
                .Select(component => new BackedUpComponent(component.Name, GradeText.Of(GradeRule.OfComponent(report, component.Place, grades)), component.Place))];

    private static WriterRecord Describe(WriterReport report, BackedUpComponent[] components) => new()
    {
        Id = report.Identity.Id,
        Instance = report.Identity.InstanceId,
        Name = report.Identity.Name,
        InstanceName = report.Identity.InstanceName,
        Version = report.Metadata?.Version ?? "",
        Method = report.Metadata?.Method ?? "",
        State = (int)report.State,
        Error = (uint)report.Error,
        Message = report.Message,
        Consistent = report.IsConsistent,
        HeldMilliseconds = report.HeldFor is { } held ? Rounded(held) : null,
        Components = [.. components.Select(component => new ComponentRecord(component.Name, component.Grade, component.Place.Volumes, component.Place.IsWhole))],
        Steps = [.. report.Steps.Select(step => new WriterStepRecord(WriterText.NameOf(step.Event), Rounded(step.Began), Rounded(step.Took), (uint)step.Error, step.Message))],
    };

    private static double Rounded(TimeSpan span) => Math.Round(span.TotalMilliseconds, 3);
}
