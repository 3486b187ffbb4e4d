using System.Globalization;

namespace Quench.Vault;

/// <summary>Turns a request into a plan. It reads nothing and changes nothing.</summary>
/// <param name="all">All points of the vault.</param>
/// <param name="now">The time.</param>
/// <param name="newest">The latest time that the vault has written down, and where; null when none is known.</param>
internal sealed class ForgetPlanner(IReadOnlyList<RecoveryPoint> all, DateTimeOffset now, (DateTimeOffset When, string What)? newest)
{
    private readonly ILookup<string, RecoveryPoint> _groups = all.ToLookup(KeyOf);

    /// <summary>Makes the plan.</summary>
    /// <exception cref="Blocks.QuenchException">A point is not there, or not to be told from others.</exception>
    internal ForgetPlan Make(ForgetRequest request)
    {
        List<ForgetGroup> groups = [.. request.Policy is { } policy ? ByPolicy(request, policy) : ByName(request.Points)];
        HashSet<Guid> going = [.. groups.SelectMany(group => group.Verdicts).Where(verdict => !verdict.Stays).Select(verdict => verdict.Point.Id)];
        List<ForgetConcern> concerns = [.. Halves(going), .. LastOnes(going)];
        if (request.Policy is not null)
        {
            concerns.AddRange(Times(groups));
        }

        return new ForgetPlan(groups, concerns);
    }

    private IEnumerable<ForgetGroup> ByPolicy(ForgetRequest request, RetentionPolicy policy)
    {
        foreach (IGrouping<string, RecoveryPoint> group in _groups.OrderBy(group => group.Key, StringComparer.Ordinal))
        {
            List<RecoveryPoint> points = [.. group.Where(point =>
                (request.Host is null || point.Host == request.Host)
                && (request.Tag is null || point.Tags.Contains(request.Tag))
                && (request.Volume is null || point.Volumes.Any(volume => volume.Name == request.Volume)))];
            if (points.Count > 0)
            {
                yield return GroupOf(points[0], policy.Apply(points, now));
            }
        }
    }

    private IEnumerable<ForgetGroup> ByName(IReadOnlyList<string> names)
    {
        HashSet<Guid> named = [.. names.Select(name => Find(name).Id)];
        return _groups.Where(group => group.Any(point => named.Contains(point.Id)))
            .OrderBy(group => group.Key, StringComparer.Ordinal)
            .Select(group => GroupOf(group.First(), [.. group
                .OrderByDescending(point => (point.Instant, point.Written, point.Id))
                .Select(point => new RetentionVerdict(point, named.Contains(point.Id) ? [] : ["not named"]))]));
    }

    private RecoveryPoint Find(string prefix)
    {
        List<RecoveryPoint> found = prefix.Length == 0 ? [] : [.. all.Where(point =>
            point.Id != Guid.Empty && point.Id.ToString("N").StartsWith(prefix, StringComparison.OrdinalIgnoreCase))];
        return found.Count switch
        {
            0 => throw VaultErrors.NoSuchPoint(prefix),
            1 => found[0],
            _ => throw VaultErrors.AmbiguousPoint(prefix, found.Count),
        };
    }

    private IEnumerable<ForgetConcern> Halves(HashSet<Guid> going)
    {
        foreach (IGrouping<string, RecoveryPoint> group in _groups)
        {
            int goes = group.Count(point => going.Contains(point.Id));
            if (goes * 2 > group.Count())
            {
                yield return new ForgetConcern(ForgetConcernKind.MoreThanHalf, string.Create(
                    CultureInfo.InvariantCulture, $"{goes} of the {group.Count()} points of {NameOf(group.First())} would go"));
            }
        }
    }

    private IEnumerable<ForgetConcern> LastOnes(HashSet<Guid> going)
    {
        var volumes = all.Where(point => point.Damage is null)
            .SelectMany(point => point.Volumes.Select(volume => (point.Host, volume.Name, point.Id)))
            .GroupBy(volume => (volume.Host, volume.Name));
        return volumes.Where(volume => volume.All(point => going.Contains(point.Id)))
            .Select(volume => new ForgetConcern(
                ForgetConcernKind.LastOfVolume, $"no recovery point of volume {volume.Key.Name} of {volume.Key.Host} would be left"));
    }

    private IEnumerable<ForgetConcern> Times(List<ForgetGroup> groups)
    {
        List<RecoveryPoint> future = [.. groups.SelectMany(group => group.Verdicts)
            .Select(verdict => verdict.Point).Where(point => point.Damage is null && RetentionPolicy.IsFuture(point.Instant, now))];
        if (future.Count > 0)
        {
            yield return new ForgetConcern(ForgetConcernKind.FutureDated, VaultErrors.FutureWords(future, now));
        }

        if (newest is { } seen && RetentionPolicy.IsFuture(seen.When, now))
        {
            yield return new ForgetConcern(ForgetConcernKind.ClockWentBack, VaultErrors.ClockWords(seen, now));
        }
    }

    private static ForgetGroup GroupOf(RecoveryPoint first, IReadOnlyList<RetentionVerdict> verdicts) => new(first.Host, VolumesOf(first), verdicts);

    private static string NameOf(RecoveryPoint point) =>
        point.Damage is null ? $"{string.Join(", ", VolumesOf(point))} of {point.Host}" : "those that are damaged";

    private static IReadOnlyList<string> VolumesOf(RecoveryPoint point) => [.. point.Volumes.Select(volume => volume.Name).Order(StringComparer.Ordinal)];

    /// <summary>Machine and volumes, joined by what no name contains.</summary>
    private static string KeyOf(RecoveryPoint point) => string.Join('\0', VolumesOf(point).Prepend(point.Host));
}
