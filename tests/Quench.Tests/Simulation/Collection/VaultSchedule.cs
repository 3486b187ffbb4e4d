using System.Collections.Concurrent;
using System.Globalization;
using Quench.Blocks;
using Quench.Tests.Faults;
using Quench.Vault;
using Quench.Vault.Stores;
using Xunit;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Simulation.Collection;

/// <summary>
/// One schedule of the real vault: backups, forgets and prunes on one store in memory, a call of the store at a time. Some fall asleep, some are killed.
/// Afterwards every point that is listed restores byte for byte, and no acknowledged one is missing.
/// </summary>
internal sealed class VaultSchedule
{
    private const int Volume = 6; // chunks
    private const int Pool = 9; // different chunks that volumes are made of, so that points share them

    private readonly Random _random;
    private readonly StoreLie _lie;
    private readonly Turns _turns;
    private readonly MemoryStore _store;
    private readonly ManualClock _clock = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly ConcurrentDictionary<string, byte[]> _contents = new(StringComparer.Ordinal); // by the tag of the point
    private readonly ConcurrentDictionary<Guid, bool> _acknowledged = new();
    private readonly ConcurrentDictionary<Guid, bool> _forgotten = new(); // also those whose tombstone was only begun
    private readonly List<(Worker Worker, Func<Task> Work)> _work = [];
    private readonly List<BackupVault> _vaults = [];

    private VaultSchedule(int seed, MemoryStore store, StoreLie lie)
    {
        _random = new Random(seed);
        _store = store;
        _lie = lie;
        _turns = new Turns(new Random(_random.Next()));
    }

    /// <summary>How often it came to what makes a schedule worth it.</summary>
    internal ConcurrentDictionary<string, int> Tally { get; } = new(StringComparer.Ordinal);

    /// <summary>Runs a schedule on a copy of a vault.</summary>
    internal static async Task<VaultSchedule> RunAsync(int seed, IEnumerable<KeyValuePair<string, byte[]>> start, StoreLie lie)
    {
        VaultSchedule schedule = new(seed, await StoreOfAsync(start), lie);
        try
        {
            await schedule.PrepareAsync();
            await schedule._turns.RunAsync(schedule._work);
        }
        finally
        {
            foreach (BackupVault vault in schedule._vaults)
            {
                await vault.DisposeAsync();
            }
        }

        await schedule.CheckAsync();
        return schedule;
    }

    private async Task PrepareAsync()
    {
        await using (BackupVault vault = await OpenAsync(_store))
        {
            for (int i = 0; i < 2; i++)
            {
                await BackupAsync(vault, new Random(_random.Next()), "old" + i.ToString(CultureInfo.InvariantCulture));
            }
        }

        for (int i = 0; i < 2; i++)
        {
            await AddAsync("backup" + i.ToString(CultureInfo.InvariantCulture), times: 2, 8, BackupOnceAsync);
            await AddAsync("prune" + i.ToString(CultureInfo.InvariantCulture), times: 2, 3, PruneOnceAsync);
        }

        await AddAsync("forget", times: 3, 20, ForgetOnceAsync);
    }

    private async Task AddAsync(string name, int times, int killedOneIn, Func<BackupVault, Random, string, Task> once)
    {
        int from = _random.Next(60);
        Worker worker = new(name)
        {
            KilledAt = _random.Next(killedOneIn) == 0 ? 1 + _random.Next(120) : int.MaxValue,
            Asleep = _random.Next(3) == 0 ? (from, from + _random.Next(1500)) : (int.MaxValue, 0),
        };
        BackupVault vault = await OpenAsync(new TurnStore(_store, _turns, worker, _lie));
        _vaults.Add(vault);
        Random random = new(_random.Next());
        _work.Add((worker, async () =>
        {
            for (int i = 0; i < times; i++)
            {
                await once(vault, random, $"{name}-{i}");
            }
        }));
    }

    private Task<BackupVault> OpenAsync(IObjectStore store) => BackupVault.OpenAsync(store, Password, _clock, Token);

    private async Task BackupOnceAsync(BackupVault vault, Random random, string tag)
    {
        try
        {
            await BackupAsync(vault, random, tag);
        }
        catch (QuenchException failure) when (failure.Code == "VAULT-031")
        {
            Count("revoked");
            try
            {
                await BackupAsync(vault, random, tag + "-again");
            }
            catch (QuenchException again) when (again.Code == "VAULT-031")
            {
                Count("revoked twice");
            }
        }
    }

    private async Task BackupAsync(BackupVault vault, Random random, string tag)
    {
        byte[] content = new byte[Volume * ChunkSize];
        for (int i = 0; i < Volume; i++)
        {
            new Random(random.Next(Pool)).NextBytes(content.AsSpan(i * ChunkSize, ChunkSize));
        }

        _contents[tag] = content;
        await using BackupSession session = await vault.BeginAsync("host", Token);
        VolumeRecord volume = await ImageAsync(vault, session, content, "disk");
        _clock.Advance(TimeSpan.FromSeconds(1));
        RecoveryPoint point = await session.CommitAsync(
            new PointDraft { Host = "host", Instant = _clock.GetUtcNow(), Volumes = [volume], Tags = [tag] }, Token);
        _acknowledged[point.Id] = true;
        Count("points");
    }

    private async Task ForgetOnceAsync(BackupVault vault, Random random, string tag)
    {
        IReadOnlyList<RecoveryPoint> points = await vault.ListPointsAsync(Token);
        if (points.Count > 0)
        {
            RecoveryPoint point = points[random.Next(points.Count)];
            _forgotten[point.Id] = true;
            ForgetPlan plan = await vault.PlanForgetAsync(new ForgetRequest { Points = [point.Id.ToString("N")] }, Token);
            await vault.ForgetAsync(plan, Enum.GetValues<ForgetConcernKind>(), tag, Token);
            Count("forgotten");
        }
    }

    private async Task PruneOnceAsync(BackupVault vault, Random random, string tag)
    {
        PruneSettings settings = new() { RepackBelow = random.Next(3) * 0.5, AbandonedAfter = random.Next(2) == 0 ? TimeSpan.Zero : TimeSpan.FromDays(1) };
        PrunePlan plan = await vault.PlanPruneAsync(settings, null, Token);
        PruneReport report = await vault.PruneAsync(plan, null, Token);
        Count("prunes");
        Count("deleted packs", report.DeletedPacks);
        Count("repacked packs", report.RepackedPacks);
        Count("reprieved packs", report.ReprievedPacks);
        Count("taken over", plan.Unfinished > 0 ? 1 : 0);
    }

    private async Task CheckAsync()
    {
        await using BackupVault vault = await OpenAsync(_store);
        await CheckPointsAsync(vault);
        await PruneOnceAsync(vault, new Random(0), "last");
        await CheckPointsAsync(vault);

        // With no point left nothing may be left of any: whatever was interrupted, no pack is forgotten about.
        foreach (RecoveryPoint point in await vault.ListPointsAsync(Token))
        {
            ForgetPlan plan = await vault.PlanForgetAsync(new ForgetRequest { Points = [point.Id.ToString("N")] }, Token);
            await vault.ForgetAsync(plan, Enum.GetValues<ForgetConcernKind>(), "end", Token);
        }

        PruneSettings all = new() { AbandonedAfter = TimeSpan.Zero };
        await vault.PruneAsync(await vault.PlanPruneAsync(all, null, Token), null, Token);
        IEnumerable<string> left = (await SnapshotAsync(_store)).Keys
            .Where(name => name.StartsWith("packs/", StringComparison.Ordinal) || name.StartsWith("index/", StringComparison.Ordinal));
        Assert.Empty(left);
    }

    private async Task CheckPointsAsync(BackupVault vault)
    {
        IReadOnlyList<RecoveryPoint> points = await vault.ListPointsAsync(Token);
        Assert.All(points, point => Assert.Null(point.Damage));
        Assert.Empty(_acknowledged.Keys.Except(_forgotten.Keys).Except(points.Select(point => point.Id)));
        foreach (RecoveryPoint point in points)
        {
            byte[] restored = await RestoreAsync(vault, point.Volumes[0]);
            Assert.True(restored.AsSpan().SequenceEqual(_contents[point.Tags[0]]), $"point {point.Tags[0]} restores other bytes");
        }

        VerifyReport report = await vault.VerifyAsync(null, VerifyLevel.Data, null, Token);
        Assert.Empty(report.Damage.Select(damage => damage.What));
    }

    private void Count(string what, int count = 1) => Tally.AddOrUpdate(what, count, (_, before) => before + count);
}
