using Quench.Tests.Faults;
using Quench.Vault;
using Quench.Vault.Stores;
using Xunit;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Vault.Collection;

/// <summary>A vault in memory whose clock is the test's, and what tests of collections do with it.</summary>
internal sealed class CollectionLab : IAsyncDisposable
{
    internal static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private CollectionLab(MemoryStore store, ManualClock clock, BackupVault vault) => (Store, Clock, Vault) = (store, clock, vault);

    internal MemoryStore Store { get; }

    internal ManualClock Clock { get; }

    internal BackupVault Vault { get; private set; }

    internal static async Task<CollectionLab> NewAsync(ParitySettings parity = default)
    {
        MemoryStore store = new();
        ManualClock clock = new(Start);
        CreatedVault created = await BackupVault.CreateAsync(
            store, new VaultSettings { ChunkSize = ChunkSize, Kdf = Cheap, Parity = parity }, Password, clock, Cheap, Token);
        return new CollectionLab(store, clock, created.Vault);
    }

    /// <summary>The vault as another process sees it.</summary>
    internal Task<BackupVault> OpenAsync() => BackupVault.OpenAsync(Store, Password, Clock, Token);

    /// <summary>Chunks that nothing else has and that don't compress.</summary>
    internal static byte[] Noise(int seed, int chunks)
    {
        byte[] content = new byte[chunks * ChunkSize];
        new Random(seed).NextBytes(content);
        return content;
    }

    internal async Task<RecoveryPoint> BackupAsync(byte[] content, string name = "disk")
    {
        await using BackupSession session = await Vault.BeginAsync("host", Token);
        return await CommitAsync(session, content, name);
    }

    internal async Task<RecoveryPoint> CommitAsync(BackupSession session, byte[] content, string name = "disk")
    {
        VolumeRecord volume = await ImageAsync(Vault, session, content, name);
        Clock.Advance(TimeSpan.FromMinutes(1));
        return await session.CommitAsync(new PointDraft { Host = "host", Instant = Clock.GetUtcNow(), Volumes = [volume] }, Token);
    }

    internal async Task ForgetAsync(params RecoveryPoint[] points)
    {
        ForgetPlan plan = await Vault.PlanForgetAsync(new ForgetRequest { Points = [.. points.Select(point => point.Id.ToString("N"))] }, Token);
        await Vault.ForgetAsync(plan, Enum.GetValues<ForgetConcernKind>(), "test", Token);
    }

    internal async Task<PruneReport> PruneAsync(PruneSettings? settings = null, BackupVault? vault = null)
    {
        vault ??= Vault;
        return await vault.PruneAsync(await vault.PlanPruneAsync(settings ?? new PruneSettings(), null, Token), null, Token);
    }

    internal async Task<List<string>> NamesAsync(string prefix = "") =>
        [.. (await SnapshotAsync(Store)).Keys.Where(name => name.StartsWith(prefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal)];

    /// <summary>Every point restores to its content, a verification of every byte finds nothing, and the index names what is there.</summary>
    internal Task CheckAsync(params (RecoveryPoint Point, byte[] Content)[] points) => CheckAsync([], points);

    /// <summary>The same, where some objects are known to be damaged.</summary>
    internal async Task CheckAsync(string[] damaged, params (RecoveryPoint Point, byte[] Content)[] points)
    {
        await using BackupVault fresh = await OpenAsync();
        IReadOnlyList<RecoveryPoint> listed = await fresh.ListPointsAsync(Token);
        Assert.Equal(points.Select(pair => pair.Point.Id).Order(), listed.Select(point => point.Id).Order());
        foreach ((RecoveryPoint point, byte[] content) in points)
        {
            Assert.Equal(content, await RestoreAsync(fresh, listed.Single(one => one.Id == point.Id).Volumes[0]));
            Assert.Equal(content, await RestoreAsync(Vault, point.Volumes[0])); // with an index from before, too
        }

        VerifyReport report = await fresh.VerifyAsync(null, VerifyLevel.Data, null, Token);
        Assert.Equal(damaged.Select(name => $"{name} is damaged"), report.Damage.Select(damage => damage.What));
    }

    public ValueTask DisposeAsync() => Vault.DisposeAsync();
}
