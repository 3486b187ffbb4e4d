using System.Globalization;
using System.Text;
using Quench.Tests.Faults;
using Quench.Vault;
using Quench.Vault.Format;
using Quench.Vault.Keys;
using Quench.Vault.Packs;
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

    /// <summary>Chunks that nothing else has and that compress, the more the harder one tries.</summary>
    internal static byte[] Text(int seed, int chunks)
    {
        Random random = new(seed);
        string[] words = [.. Enumerable.Range(0, 300).Select(_ => random.Next(100_000).ToString(CultureInfo.InvariantCulture))];
        byte[] content = new byte[chunks * ChunkSize];
        for (int at = 0; at < content.Length;)
        {
            byte[] word = Encoding.ASCII.GetBytes(words[random.Next(words.Length)]);
            word.AsSpan(0, Math.Min(word.Length, content.Length - at)).CopyTo(content.AsSpan(at));
            at += word.Length;
        }

        return content;
    }

    internal async Task<RecoveryPoint> BackupAsync(byte[] content, string name = "disk", Compression compression = Compression.Standard)
    {
        await using BackupSession session = await Vault.BeginAsync("host", Token);
        return await CommitAsync(session, content, name, compression);
    }

    internal async Task<RecoveryPoint> CommitAsync(
        BackupSession session, byte[] content, string name = "disk", Compression compression = Compression.Standard)
    {
        VolumeRecord volume = await ImageAsync(Vault, session, content, name, compression);
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

    /// <summary>What the directories of all packs say.</summary>
    internal async Task<Dictionary<ChunkId, PackEntry>> EntriesAsync()
    {
        using VaultKeys keys = (await VaultOpening.OpenAsync(Store, Password, Token)).Keys;
        Dictionary<ChunkId, PackEntry> entries = [];
        await foreach (StoredObject found in Store.ListAsync(ObjectNames.Packs, Token))
        {
            Assert.True(ObjectNames.TryParseId(found.Name, out Guid pack));
            PackContents contents = (await PackReader.TryReadAsync(Store, keys, pack, found.Length, Token))!;
            contents.Entries.ToList().ForEach(entry => entries[entry.Id] = entry);
        }

        return entries;
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
