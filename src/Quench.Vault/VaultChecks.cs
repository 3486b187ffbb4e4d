namespace Quench.Vault;

/// <summary>When a point was verified, how deep, and whether it was sound.</summary>
/// <param name="Point">The point.</param>
/// <param name="Level">How deep.</param>
/// <param name="At">When.</param>
/// <param name="IsSound">Whether nothing was wrong with it.</param>
public sealed record PointCheck(Guid Point, VerifyLevel Level, DateTimeOffset At, bool IsSound);

/// <summary>When a part of the vault's packs was verified at level data.</summary>
/// <param name="Part">Which part.</param>
/// <param name="At">When.</param>
/// <param name="Hurt">The points that were found damaged.</param>
public sealed record PartCheck(VerifyPart Part, DateTimeOffset At, IReadOnlyList<Guid> Hurt);

/// <summary>What is remembered of verifications: of each point and level, and of each part, the latest. Immutable. (docs/vault-format.md §9.3)</summary>
/// <param name="Points">For each point and level at most one.</param>
/// <param name="Parts">For each part at most one.</param>
public sealed record VaultChecks(IReadOnlyList<PointCheck> Points, IReadOnlyList<PartCheck> Parts)
{
    internal static readonly VaultChecks None = new([], []);

    /// <summary>All that is known of a point, the deepest level first; verifying all parts counts as level data.</summary>
    public IReadOnlyList<PointCheck> Of(RecoveryPoint point) =>
    [
        .. Points.Where(check => check.Point == point.Id)
            .Concat(Rolling(point))
            .GroupBy(check => check.Level)
            .Select(level => level.MaxBy(check => check.At)!)
            .OrderByDescending(check => check.Level),
    ];

    /// <summary>What to say of a point in one word: the latest check if it found damage, otherwise the deepest; null when there was none.</summary>
    public PointCheck? Latest(RecoveryPoint point)
    {
        IReadOnlyList<PointCheck> checks = Of(point);
        PointCheck? latest = checks.MaxBy(check => check.At);
        return latest is { IsSound: false } ? latest : checks.FirstOrDefault(check => check.IsSound);
    }

    /// <summary>With what a verification found.</summary>
    internal VaultChecks With(VerifyReport report, DateTimeOffset at)
    {
        HashSet<Guid> hurt = [.. report.Damage.Where(damage => damage.Point is not null).Select(damage => damage.Point!.Value)];
        bool isPart = report.Part is not null && report.Level >= VerifyLevel.Data;
        VerifyLevel level = isPart ? VerifyLevel.Structure : report.Level; // of packs outside the part nothing deeper is known
        VaultChecks found = new(
            [.. report.PointIds.Select(point => new PointCheck(point, level, at, !hurt.Contains(point)))],
            isPart ? [new PartCheck(report.Part!.Value, at, [.. hurt])] : []);
        return With(found);
    }

    /// <summary>Both; of two for the same the later.</summary>
    internal VaultChecks With(VaultChecks other) => new(
        [.. Points.Concat(other.Points).GroupBy(check => (check.Point, check.Level)).Select(same => same.MaxBy(check => check.At)!)],
        [.. Parts.Concat(other.Parts).GroupBy(check => check.Part).Select(same => same.MaxBy(check => check.At)!)]);

    /// <summary>Without points that are no more.</summary>
    internal VaultChecks Only(IReadOnlySet<Guid> points) => this with
    {
        Points = [.. Points.Where(check => points.Contains(check.Point))],
        Parts = [.. Parts.Select(check => check with { Hurt = [.. check.Hurt.Where(points.Contains)] })],
    };

    /// <summary>All parts of some number, each verified after the point was written, are the whole of it; the oldest says when.</summary>
    private IEnumerable<PointCheck> Rolling(RecoveryPoint point) => Parts
        .Where(check => check.At >= point.Written)
        .GroupBy(check => check.Part.Count)
        .Where(parts => parts.Count() == parts.Key || parts.Any(check => check.Hurt.Contains(point.Id)))
        .Select(parts => parts.Any(check => check.Hurt.Contains(point.Id))
            ? new PointCheck(point.Id, VerifyLevel.Data, parts.Where(check => check.Hurt.Contains(point.Id)).Max(check => check.At), false)
            : new PointCheck(point.Id, VerifyLevel.Data, parts.Min(check => check.At), true));
}
