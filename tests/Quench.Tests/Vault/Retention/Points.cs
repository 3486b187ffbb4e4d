using Quench.Vault;

namespace Quench.Tests.Vault.Retention;

/// <summary>Recovery points that exist on paper only.</summary>
internal static class Points
{
    internal static readonly DateTimeOffset Now = new(2026, 11, 21, 12, 0, 0, TimeSpan.Zero);

    internal static RecoveryPoint At(DateTimeOffset instant, string host = "host", string[]? tags = null, params string[] volumes) => new()
    {
        Id = Guid.NewGuid(),
        SessionId = Guid.NewGuid(),
        Host = host,
        Instant = instant,
        Written = instant,
        Tags = tags ?? [],
        Volumes = [.. (volumes.Length == 0 ? ["disk"] : volumes).Select(name =>
            new VolumeRecord { Name = name, Source = "/dev/" + name, Length = 0, SectorSize = 512, Root = ChunkId.Hole })],
    };

    /// <summary>Points spread unevenly over three years, some within the same minute, some at the very ends of hours, days and years.</summary>
    internal static List<RecoveryPoint> Random(Random random, int count)
    {
        List<RecoveryPoint> points = [];
        DateTimeOffset at = Now;
        for (int i = 0; i < count; i++)
        {
            at = random.Next(6) switch
            {
                0 => at,
                1 => at.AddMinutes(-random.Next(90)),
                2 => at.AddHours(-random.Next(40)),
                3 => at.AddDays(-random.Next(20)),
                4 => new DateTimeOffset(at.Year, at.Month, at.Day, 0, 0, 0, TimeSpan.Zero),
                _ => at.AddTicks(-1),
            };
            points.Add(At(at.ToOffset(TimeSpan.FromHours(random.Next(-11, 12))), tags: random.Next(9) == 0 ? ["keep"] : []));
        }

        return [.. points.OrderBy(_ => random.Next())];
    }
}
