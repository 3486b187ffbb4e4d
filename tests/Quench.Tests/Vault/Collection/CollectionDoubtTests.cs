using System.Buffers.Binary;
using Quench.Blocks;
using Quench.Tests.Vault.Faults;
using Quench.Vault;
using Quench.Vault.Format;
using Quench.Vault.Roots;
using Quench.Vault.Stores;
using Xunit;
using static Quench.Tests.Vault.Collection.CollectionLab;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Vault.Collection;

/// <summary>When a collection refuses, and what is left when it fails or is killed.</summary>
public sealed class CollectionDoubtTests
{
    [Theory]
    [InlineData("points/")]
    [InlineData("commits/")]
    public async Task A_damaged_root_stops_everything(string prefix)
    {
        await using CollectionLab lab = await NewAsync();
        RecoveryPoint gone = await lab.BackupAsync(Noise(1, 4));
        RecoveryPoint hurt = await lab.BackupAsync(Noise(2, 4));
        await lab.ForgetAsync(gone);
        string name = prefix == "points/" ? ObjectNames.Point(hurt.Id) : ObjectNames.Commit(hurt.SessionId);
        await DamageAsync(lab, name, 60);
        await DamageAsync(lab, RootCopies.CopyOf(name), 60);
        await RefusesAsync(lab, "VAULT-071", hurt.ShortId[..(prefix == "points/" ? 8 : 0)]);
    }

    [Fact]
    public async Task A_damaged_page_stops_everything_until_its_point_is_forgotten()
    {
        await using CollectionLab lab = await NewAsync();
        RecoveryPoint gone = await lab.BackupAsync(Noise(1, 4));
        RecoveryPoint hurt = await lab.BackupAsync(Noise(2, 4));
        byte[] fine = Noise(3, 4);
        RecoveryPoint stays = await lab.BackupAsync(fine);
        await lab.ForgetAsync(gone);
        foreach (string pack in await lab.NamesAsync("packs/"))
        {
            byte[] bytes = (await lab.Store.GetAsync(pack, Token))!;
            if (bytes.AsSpan(32, 16).SequenceEqual(hurt.SessionId.ToByteArray(bigEndian: true)))
            {
                int directory = BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(bytes.Length - 16)); // §6.1
                await DamageAsync(lab, pack, 64, directory - 64); // all of its chunks, the page too
            }
        }

        await RefusesAsync(lab, "VAULT-071", $"recovery point {hurt.ShortId}");
        await lab.ForgetAsync(hurt);
        Assert.Equal(2, (await lab.PruneAsync()).DeletedPacks);
        await lab.CheckAsync((stays, fine));
    }

    [Fact]
    public async Task A_missing_chunk_is_told_and_stops_nobody()
    {
        await using CollectionLab lab = await NewAsync();
        RecoveryPoint gone = await lab.BackupAsync(Noise(1, 4));
        byte[] fine = Noise(2, 300); // the data in one pack or more, the map with them
        RecoveryPoint stays = await lab.BackupAsync(fine);
        RecoveryPoint part = await lab.BackupAsync(fine[..(2 * ChunkSize)]); // its own map, their chunks
        string lost = await LargestPackAsync(lab);
        await lab.ForgetAsync(gone, stays);
        await lab.Store.DeleteAsync(lost, Token);
        await using BackupVault fresh = await lab.OpenAsync();
        PrunePlan plan = await fresh.PlanPruneAsync(new PruneSettings(), null, Token);
        Assert.Contains("2 chunks that recovery points need are in no pack", Assert.Single(plan.Warnings), StringComparison.Ordinal);
        Assert.Equal(1, (await fresh.PruneAsync(plan, null, Token)).DeletedPacks);
        Assert.NotEmpty((await fresh.VerifyAsync(part, VerifyLevel.Data, null, Token)).Damage);
    }

    [Theory]
    [InlineData(-3650)]
    [InlineData(-1)]
    public async Task A_clock_that_went_back_stops_everything(int days)
    {
        await using CollectionLab lab = await NewAsync();
        RecoveryPoint gone = await lab.BackupAsync(Noise(1, 4));
        byte[] fine = Noise(2, 4);
        RecoveryPoint stays = await lab.BackupAsync(fine);
        await lab.ForgetAsync(gone);
        lab.Clock.Set(Start.AddDays(days));
        await RefusesAsync(lab, "VAULT-072", "dated later than now");
        Assert.Equal(1, (await lab.PruneAsync(new PruneSettings { TrustClock = true })).DeletedPacks);
        await lab.CheckAsync((stays, fine));
        ForgetPlan plan = await lab.Vault.PlanForgetAsync(new ForgetRequest { Policy = new RetentionPolicy { KeepLast = 1 } }, Token);
        Assert.Empty(plan.Going);
        Assert.Equal([ForgetConcernKind.FutureDated, ForgetConcernKind.ClockWentBack], plan.Concerns.Select(concern => concern.Kind));
        Assert.Equal("VAULT-074", (await Assert.ThrowsAsync<QuenchException>(() => lab.Vault.ForgetAsync(plan, [ForgetConcernKind.MoreThanHalf], "", Token))).Code);
    }

    [Fact]
    public async Task A_session_of_the_future_counts_as_a_clock_that_went_back_and_a_clock_far_ahead_takes_nothing()
    {
        await using CollectionLab lab = await NewAsync();
        RecoveryPoint gone = await lab.BackupAsync(Noise(1, 4));
        byte[] fine = Noise(2, 4);
        RecoveryPoint stays = await lab.BackupAsync(fine);
        await lab.ForgetAsync(gone);
        lab.Clock.Set(Start.AddYears(10));
        ForgetPlan plan = await lab.Vault.PlanForgetAsync(new ForgetRequest { Policy = new RetentionPolicy { KeepWithin = TimeSpan.FromDays(30) } }, Token);
        Assert.Empty(plan.Going);
        await (await lab.Vault.BeginAsync("host", Token)).DisposeAsync(); // ten years ahead, and never committed
        lab.Clock.Set(Start.AddDays(1));
        await RefusesAsync(lab, "VAULT-072", "sessions/");
        Assert.Equal(1, (await lab.PruneAsync(new PruneSettings { TrustClock = true })).DeletedPacks);
        await lab.CheckAsync((stays, fine));
    }

    [Theory]
    [InlineData(Fault.Once)]
    [InlineData(Fault.Sticky)]
    [InlineData(Fault.LostAnswer)]
    public async Task Whatever_call_of_a_collection_fails_nothing_is_lost_and_the_next_one_ends_it(Fault fault)
    {
        await using CollectionLab lab = await NewAsync();
        byte[] wide = Noise(1, 20);
        byte[] fine = [.. wide.AsSpan(0, 2 * ChunkSize), .. Noise(2, 2)];
        RecoveryPoint gone = await lab.BackupAsync(wide);
        RecoveryPoint dead = await lab.BackupAsync(Noise(3, 4));
        RecoveryPoint stays = await lab.BackupAsync(fine);
        await lab.ForgetAsync(gone, dead);
        Dictionary<string, byte[]> start = await SnapshotAsync(lab.Store);
        bool fired = true;
        int failed = 0;
        for (int n = 1; fired; n++)
        {
            MemoryStore store = await StoreOfAsync(start);
            FaultyStore faulty = new(store, n, fault);
            failed += await TryPruneAsync(faulty, lab) ? 0 : 1;
            fired = faulty.Fired;
            await using BackupVault vault = await BackupVault.OpenAsync(store, Password, lab.Clock, Token);
            await CheckAsync(vault, stays, fine);
            PrunePlan rest = await vault.PlanPruneAsync(new PruneSettings { AbandonedAfter = TimeSpan.Zero }, null, Token);
            await vault.PruneAsync(rest, null, Token);
            await CheckAsync(vault, stays, fine);
            Assert.Equal(2, (await SnapshotAsync(store)).Keys.Count(name => name.StartsWith("packs/", StringComparison.Ordinal)));
        }

        Assert.InRange(failed, 20, 500);
    }

    [Fact]
    public async Task A_damaged_list_of_condemned_packs_ends_its_generation_with_nothing_deleted()
    {
        await using CollectionLab lab = await NewAsync();
        byte[] fine = Noise(2, 4);
        RecoveryPoint gone = await lab.BackupAsync(Noise(1, 4));
        RecoveryPoint stays = await lab.BackupAsync(fine);
        await lab.ForgetAsync(gone);
        await lab.Store.PutAsync(ObjectNames.Condemned(1), new byte[400], Token);
        Assert.Equal("VAULT-034", (await Assert.ThrowsAsync<QuenchException>(() => lab.Vault.BeginAsync("host", Token))).Code);
        PruneReport report = await lab.PruneAsync();
        Assert.Equal(1, report.DeletedPacks); // by a generation of its own, afterwards
        Assert.Contains(report.Warnings, warning => warning.Contains("condemned is damaged", StringComparison.Ordinal));
        await lab.CheckAsync([ObjectNames.Condemned(1)], (stays, fine));
        await lab.BackupAsync(fine);
    }

    [Fact]
    public async Task A_damaged_sweep_stops_collectors_and_nobody_else()
    {
        await using CollectionLab lab = await NewAsync();
        byte[] fine = Noise(2, 4);
        RecoveryPoint gone = await lab.BackupAsync(Noise(1, 4));
        await lab.BackupAsync(fine);
        await lab.ForgetAsync(gone);
        await lab.Store.PutAsync(ObjectNames.Sweep(1), new byte[400], Token);
        QuenchException failure = await Assert.ThrowsAsync<QuenchException>(() => lab.PruneAsync());
        Assert.Equal("VAULT-073", failure.Code);
        RecoveryPoint next = await lab.BackupAsync(fine);
        Assert.Equal(fine, await RestoreAsync(lab.Vault, next.Volumes[0]));
    }

    [Fact]
    public async Task A_damaged_pack_is_not_written_anew()
    {
        await using CollectionLab lab = await NewAsync();
        byte[] wide = Noise(1, 20);
        RecoveryPoint gone = await lab.BackupAsync(wide);
        RecoveryPoint stays = await lab.BackupAsync(wide[..(2 * ChunkSize)]);
        string pack = await LargestPackAsync(lab);
        await lab.ForgetAsync(gone);
        await DamageAsync(lab, pack, 64, 20 * ChunkSize);
        PruneReport report = await lab.PruneAsync();
        Assert.Equal((0, 0), (report.DeletedPacks, report.RepackedPacks));
        Assert.Contains(pack, Assert.Single(report.Warnings), StringComparison.Ordinal);
        Assert.Contains(pack, await lab.NamesAsync("packs/"));
        Assert.Equal(stays.Id, Assert.Single(await lab.Vault.ListPointsAsync(Token)).Id);
    }

    private static async Task<string> LargestPackAsync(CollectionLab lab) =>
        (await SnapshotAsync(lab.Store)).Where(pair => pair.Key.StartsWith("packs/", StringComparison.Ordinal)).MaxBy(pair => pair.Value.Length).Key;

    private static async Task<bool> TryPruneAsync(FaultyStore store, CollectionLab lab)
    {
        try
        {
            await using BackupVault vault = await BackupVault.OpenAsync(store, Password, lab.Clock, Token);
            await vault.PruneAsync(await vault.PlanPruneAsync(new PruneSettings(), null, Token), null, Token);
            return true;
        }
        catch (QuenchException)
        {
            return false;
        }
    }

    private static async Task CheckAsync(BackupVault vault, RecoveryPoint point, byte[] content)
    {
        Assert.Equal(point.Id, Assert.Single(await vault.ListPointsAsync(Token)).Id);
        Assert.Equal(content, await RestoreAsync(vault, point.Volumes[0]));
        Assert.Empty((await vault.VerifyAsync(null, VerifyLevel.Data, null, Token)).Damage);
    }

    private static async Task RefusesAsync(CollectionLab lab, string code, string says)
    {
        List<string> before = await lab.NamesAsync();
        await using BackupVault fresh = await lab.OpenAsync();
        QuenchException failure = await Assert.ThrowsAsync<QuenchException>(() => lab.PruneAsync(vault: fresh));
        Assert.Equal(code, failure.Code);
        Assert.Contains(says, failure.Message, StringComparison.Ordinal);
        Assert.Equal(before, await lab.NamesAsync());
    }

    private static async Task DamageAsync(CollectionLab lab, string name, int from, int length = 1)
    {
        byte[] bytes = (await lab.Store.GetAsync(name, Token))!;
        for (int i = from; i < Math.Min(from + length, bytes.Length); i++)
        {
            bytes[i] ^= 0x55;
        }

        await lab.Store.DeleteAsync(name, Token);
        await lab.Store.PutAsync(name, bytes, Token);
    }
}
