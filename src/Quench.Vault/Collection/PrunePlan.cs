namespace Quench.Vault;

/// <summary>How a garbage collection is to be done.</summary>
public sealed record PruneSettings
{
    /// <summary>A pack of whose chunks less than this share of bytes is still needed is written anew without the rest: 0 for never, at most 1.</summary>
    public double RepackBelow { get; init; } = 0.5;

    /// <summary>
    /// How long to wait for sessions that have not committed before they are revoked and must begin again. It chooses when, and never whether that is
    /// safe: it always is.
    /// </summary>
    public TimeSpan Wait { get; init; }

    /// <summary>A session that began longer ago and has not committed is taken for dead, and what it left behind for garbage.</summary>
    public TimeSpan AbandonedAfter { get; init; } = TimeSpan.FromDays(1);

    /// <summary>Go on although the clock seems to have gone back or points are dated in the future.</summary>
    public bool TrustClock { get; init; }
}

/// <summary>What a garbage collection would do. Made by <see cref="BackupVault.PlanPruneAsync"/>, executed by <see cref="BackupVault.PruneAsync"/>.</summary>
public sealed record PrunePlan
{
    /// <summary>Recovery points that were looked at.</summary>
    public required int Points { get; init; }

    /// <summary>Packs in the vault.</summary>
    public required int Packs { get; init; }

    /// <summary>Bytes of all packs.</summary>
    public required long PackBytes { get; init; }

    /// <summary>Packs of which no point needs anything: they go.</summary>
    public required int DeadPacks { get; init; }

    /// <summary>Their bytes.</summary>
    public required long DeadBytes { get; init; }

    /// <summary>Packs that are mostly garbage: what is needed of them is written anew, then they go.</summary>
    public required int RepackedPacks { get; init; }

    /// <summary>Their bytes.</summary>
    public required long RepackedBytes { get; init; }

    /// <summary>The bytes of them that are needed, and will be written anew.</summary>
    public required long KeptBytes { get; init; }

    /// <summary>Manifests, tombstones and the like that nothing needs any more.</summary>
    public required int SmallObjects { get; init; }

    /// <summary>A garbage collection that was begun and not finished; it is finished first. 0 when there is none.</summary>
    public required long Unfinished { get; init; }

    /// <summary>Sessions that have not committed. If packs go, they are revoked and must begin again.</summary>
    public required IReadOnlyList<PendingSession> Pending { get; init; }

    /// <summary>What is not as it should be and stands in nobody's way: damaged or unknown objects that are left alone.</summary>
    public required IReadOnlyList<string> Warnings { get; init; }

    /// <summary>What lies in the store and is not the vault's. It is never touched.</summary>
    public required IReadOnlyList<string> Foreign { get; init; }

    /// <summary>What would be gained, about: the packs that go, less what is written anew.</summary>
    public long GainedBytes => DeadBytes + RepackedBytes - KeptBytes;

    /// <summary>Whether there is nothing to do.</summary>
    public bool IsEmpty => DeadPacks == 0 && RepackedPacks == 0 && SmallObjects == 0 && Unfinished == 0;

    internal PruneSettings Settings { get; init; } = new();

    /// <summary>Dead packs.</summary>
    internal IReadOnlyList<Guid> Dead { get; init; } = [];

    /// <summary>Packs to repack.</summary>
    internal IReadOnlyList<Guid> Repack { get; init; } = [];

    /// <summary>What the points need, as of this plan.</summary>
    internal Collection.LiveSet? Live { get; init; }

    /// <summary>The newest generation when it was made.</summary>
    internal long Generation { get; init; }
}

/// <summary>A session without a commit key.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Host">The machine that runs it; empty when its record is damaged.</param>
/// <param name="Started">When it began, by that machine's clock.</param>
public sealed record PendingSession(Guid Id, string Host, DateTimeOffset Started);

/// <summary>What a garbage collection has done.</summary>
/// <param name="DeletedPacks">Packs deleted.</param>
/// <param name="FreedBytes">Their bytes.</param>
/// <param name="RepackedPacks">How many packs were written anew; they are among the deleted ones unless a new point turned out to need them.</param>
/// <param name="WrittenBytes">Bytes written anew for that.</param>
/// <param name="ReprievedPacks">Packs that were condemned, and that a point turned out to need after all.</param>
/// <param name="RevokedSessions">Sessions that must begin again.</param>
/// <param name="SmallObjects">Small objects deleted, index objects included.</param>
/// <param name="Warnings">What is not as it should be, and was left alone.</param>
public sealed record PruneReport(
    int DeletedPacks, long FreedBytes, int RepackedPacks, long WrittenBytes, int ReprievedPacks, int RevokedSessions, int SmallObjects,
    IReadOnlyList<string> Warnings)
{
    /// <summary>A report of nothing.</summary>
    public static PruneReport Nothing { get; } = new(0, 0, 0, 0, 0, 0, 0, []);

    /// <summary>What was gained.</summary>
    public long GainedBytes => FreedBytes - WrittenBytes;

    /// <summary>This and another, one after the other.</summary>
    internal PruneReport And(PruneReport other) => new(
        DeletedPacks + other.DeletedPacks, FreedBytes + other.FreedBytes, RepackedPacks + other.RepackedPacks, WrittenBytes + other.WrittenBytes,
        ReprievedPacks + other.ReprievedPacks, RevokedSessions + other.RevokedSessions, SmallObjects + other.SmallObjects, [.. Warnings, .. other.Warnings]);
}

/// <summary>How far a garbage collection is.</summary>
/// <param name="Phase">"mark", "wait", "repack", "sweep".</param>
/// <param name="Done">Things of this phase that are done: points or packs.</param>
/// <param name="Total">How many there are.</param>
public readonly record struct PruneProgress(string Phase, long Done, long Total);
