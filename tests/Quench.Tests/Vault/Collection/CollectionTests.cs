using Quench.Blocks;
using Quench.Vault;
using Quench.Vault.Format;
using Quench.Vault.Packs;
using Xunit;
using static Quench.Tests.Vault.Collection.CollectionLab;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Vault.Collection;

public sealed class CollectionTests
{
    [Fact]
    public async Task What_only_a_forgotten_point_needed_is_deleted()
    {
        await using CollectionLab lab = await NewAsync();
        (byte[] first, byte[] second) = (Noise(1, 8), Noise(2, 8));
        RecoveryPoint gone = await lab.BackupAsync(first);
        RecoveryPoint stays = await lab.BackupAsync(second);
        await lab.ForgetAsync(gone);
        Assert.Equal(stays.Id, Assert.Single(await lab.Vault.ListPointsAsync(Token)).Id);

        PrunePlan plan = await lab.Vault.PlanPruneAsync(new PruneSettings(), null, Token);
        Assert.Equal((1, 2, 1, 0), (plan.Points, plan.Packs, plan.DeadPacks, plan.RepackedPacks));
        Assert.Equal(2, (await lab.NamesAsync("packs/")).Count); // a plan does nothing
        PruneReport report = await lab.Vault.PruneAsync(plan, null, Token);
        Assert.Equal((1, plan.DeadBytes, 0), (report.DeletedPacks, report.FreedBytes, report.ReprievedPacks));
        Assert.Single(await lab.NamesAsync("packs/"));
        Assert.Single(await lab.NamesAsync("index/"));
        Assert.Single(await lab.NamesAsync("points/"));
        await lab.CheckAsync((stays, second));
        Assert.True((await lab.Vault.PlanPruneAsync(new PruneSettings(), null, Token)).IsEmpty);
    }

    [Fact]
    public async Task A_pack_that_is_mostly_garbage_is_written_anew()
    {
        await using CollectionLab lab = await NewAsync();
        byte[] wide = Noise(1, 20);
        byte[] narrow = [.. wide.AsSpan(3 * ChunkSize, 2 * ChunkSize), .. Noise(2, 1)];
        RecoveryPoint gone = await lab.BackupAsync(wide);
        RecoveryPoint stays = await lab.BackupAsync(narrow);
        await lab.ForgetAsync(gone);
        PrunePlan plan = await lab.Vault.PlanPruneAsync(new PruneSettings(), null, Token);
        Assert.Equal((0, 1), (plan.DeadPacks, plan.RepackedPacks));
        Assert.InRange(plan.KeptBytes, 2 * ChunkSize, 3 * ChunkSize);
        PruneReport report = await lab.Vault.PruneAsync(plan, null, Token);
        Assert.Equal((1, 1), (report.DeletedPacks, report.RepackedPacks));
        Assert.InRange(report.GainedBytes, 10 * ChunkSize, 20 * ChunkSize);
        await lab.CheckAsync((stays, narrow));
        Assert.True((await lab.Vault.PlanPruneAsync(new PruneSettings(), null, Token)).IsEmpty); // and not once more
        Assert.DoesNotContain(await lab.NamesAsync("sessions/"), name => !name.EndsWith(stays.SessionId.ToString("N"), StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(0.1, 0)]
    [InlineData(0.5, 1)]
    public async Task The_threshold_says_how_much_garbage_is_too_much(double below, int repacked)
    {
        await using CollectionLab lab = await NewAsync();
        byte[] wide = Noise(1, 20);
        RecoveryPoint gone = await lab.BackupAsync(wide);
        byte[] narrow = wide[..(6 * ChunkSize)]; // 30 %
        RecoveryPoint stays = await lab.BackupAsync(narrow);
        await lab.ForgetAsync(gone);
        Assert.Equal(repacked, (await lab.PruneAsync(new PruneSettings { RepackBelow = below })).RepackedPacks);
        await lab.CheckAsync((stays, narrow));
    }

    [Fact]
    public async Task Only_the_index_entries_of_deleted_packs_go()
    {
        await using CollectionLab lab = await NewAsync();
        byte[] large = Noise(1, 2500); // three packs in one index object
        byte[] part = large[..ChunkSize];
        RecoveryPoint gone = await lab.BackupAsync(large);
        RecoveryPoint stays = await lab.BackupAsync(part);
        Assert.True((await lab.NamesAsync("packs/")).Count > 3);
        await lab.ForgetAsync(gone);
        await lab.PruneAsync(new PruneSettings { RepackBelow = 0 });
        Assert.Equal(2, (await lab.NamesAsync("packs/")).Count); // the one with the chunk, and the second point's map
        await using BackupVault fresh = await lab.OpenAsync();
        Assert.Empty((await fresh.VerifyAsync(null, VerifyLevel.Data, null, Token)).Damage);
        await lab.CheckAsync((stays, part));
    }

    [Theory]
    [InlineData(Compression.None)]
    [InlineData(Compression.Smallest)]
    public async Task What_is_written_anew_stays_compressed_as_it_was(Compression compression)
    {
        await using CollectionLab lab = await NewAsync();
        byte[] kept = Text(1, 3);
        RecoveryPoint both = await lab.BackupAsync([.. kept, .. Noise(2, 9)], compression: compression);
        RecoveryPoint some = await lab.BackupAsync(kept, "part");
        await lab.ForgetAsync(both);
        Dictionary<ChunkId, PackEntry> before = await lab.EntriesAsync();
        Assert.Equal(1, (await lab.PruneAsync()).RepackedPacks);
        Dictionary<ChunkId, PackEntry> after = await lab.EntriesAsync();
        Assert.Equal(3, after.Values.Count(entry => entry.Meta.Type == ChunkMeta.DataType));
        Assert.All(after, pair => Assert.Equal((before[pair.Key].Meta, before[pair.Key].SealedLength), (pair.Value.Meta, pair.Value.SealedLength)));
        Assert.All(after.Values.Where(entry => entry.Meta.Type == ChunkMeta.DataType), entry => Assert.Equal(compression != Compression.None, entry.Meta.IsZstd));
        await lab.CheckAsync((some, kept));
    }

    [Fact]
    public async Task A_session_that_slept_over_a_collection_is_refused_and_its_next_try_stores_what_is_gone()
    {
        await using CollectionLab lab = await NewAsync();
        byte[] content = Noise(1, 8);
        RecoveryPoint old = await lab.BackupAsync(content);
        await using BackupVault other = await lab.OpenAsync();
        await using BackupSession sleeper = await lab.Vault.BeginAsync("host", Token); // it relies on what is there now
        await lab.ForgetAsync(old);
        PruneReport report = await lab.PruneAsync(vault: other);
        Assert.Equal((1, 1), (report.DeletedPacks, report.RevokedSessions));

        QuenchException failure = await Assert.ThrowsAsync<QuenchException>(() => lab.CommitAsync(sleeper, content));
        Assert.Equal(("VAULT-031", true), (failure.Code, failure.CanRetry));
        RecoveryPoint again = await lab.BackupAsync(content);
        await lab.CheckAsync((again, content));
        await lab.PruneAsync(vault: other);
        await lab.CheckAsync((again, content));
        Assert.Equal([ObjectNames.Point(again.Id)], await lab.NamesAsync("points/")); // the revoked session's manifest too is gone
    }

    [Fact]
    public async Task A_session_that_commits_in_time_keeps_what_it_relied_on()
    {
        await using CollectionLab lab = await NewAsync();
        byte[] content = Noise(1, 8);
        RecoveryPoint old = await lab.BackupAsync(content);
        await using BackupVault other = await lab.OpenAsync();
        BackupSession session = await lab.Vault.BeginAsync("host", Token);
        await lab.ForgetAsync(old);
        PrunePlan plan = await other.PlanPruneAsync(new PruneSettings(), null, Token);
        Assert.Equal(1, plan.DeadPacks);
        RecoveryPoint point = await lab.CommitAsync(session, content); // between the plan and its execution
        await session.DisposeAsync();
        PruneReport report = await other.PruneAsync(plan, null, Token);
        Assert.Equal((0, 1), (report.DeletedPacks, report.ReprievedPacks));
        await lab.CheckAsync((point, content));

        RecoveryPoint next = await lab.BackupAsync(content); // what was taken back is relied on again
        Assert.Single(await lab.NamesAsync("packs/"));
        await lab.CheckAsync((point, content), (next, content));
    }

    [Fact]
    public async Task A_running_session_is_waited_for_if_that_is_asked()
    {
        await using CollectionLab lab = await NewAsync();
        RecoveryPoint old = await lab.BackupAsync(Noise(1, 4));
        await lab.ForgetAsync(old);
        await using BackupSession session = await lab.Vault.BeginAsync("host", Token);
        DateTimeOffset begun = lab.Clock.GetUtcNow();
        PruneReport report = await lab.PruneAsync(new PruneSettings { Wait = TimeSpan.FromMinutes(5) });
        Assert.True(lab.Clock.GetUtcNow() - begun >= TimeSpan.FromMinutes(5));
        Assert.Equal((1, 1), (report.DeletedPacks, report.RevokedSessions)); // time is over, and it is safe as ever
        Assert.Equal("VAULT-031", (await Assert.ThrowsAsync<QuenchException>(() => lab.CommitAsync(session, Noise(2, 1)))).Code);
    }

    [Fact]
    public async Task What_a_dead_session_left_is_collected_after_a_day_and_what_a_young_one_stored_is_spared()
    {
        await using CollectionLab lab = await NewAsync();
        byte[] content = Noise(1, 8);
        BackupSession dead = await lab.Vault.BeginAsync("host", Token);
        await ImageAsync(lab.Vault, dead, content, "disk");
        await dead.SettleAsync(Token);
        await dead.DisposeAsync();
        Assert.Single(await lab.NamesAsync("packs/"));
        Assert.Equal(0, (await lab.Vault.PlanPruneAsync(new PruneSettings(), null, Token)).DeadPacks);
        lab.Clock.Advance(TimeSpan.FromDays(2));
        PruneReport report = await lab.PruneAsync();
        Assert.Equal((1, 1), (report.DeletedPacks, report.RevokedSessions));
        Assert.Empty(await lab.NamesAsync("packs/"));
        Assert.Empty(await lab.NamesAsync("index/"));
        Assert.Empty(await lab.NamesAsync("sessions/"));
        Assert.Single(await lab.NamesAsync("commits/")); // the revocation stays for ever
        await lab.CheckAsync();
    }

    [Fact]
    public async Task A_reader_with_an_old_index_finds_what_was_moved()
    {
        await using CollectionLab lab = await NewAsync();
        byte[] wide = Noise(1, 20);
        RecoveryPoint gone = await lab.BackupAsync(wide);
        RecoveryPoint stays = await lab.BackupAsync(wide[..ChunkSize]);
        await using BackupVault reader = await lab.OpenAsync();
        await using IBlockReader image = reader.OpenImage(stays.Volumes[0]);
        byte[] content = new byte[ChunkSize];
        await image.ReadAsync(0, content, Token);
        await lab.ForgetAsync(gone);
        Assert.Equal(1, (await lab.PruneAsync()).RepackedPacks);
        content.AsSpan().Clear();
        await image.ReadAsync(0, content, Token);
        Assert.Equal(wide[..ChunkSize], content);
    }

    [Fact]
    public async Task Tombstones_and_commit_keys_stay_while_a_point_names_them_and_go_afterwards()
    {
        await using CollectionLab lab = await NewAsync();
        RecoveryPoint a = await lab.BackupAsync(Noise(1, 2));
        RecoveryPoint b = await lab.BackupAsync(Noise(2, 2));
        RecoveryPoint c = await lab.BackupAsync(Noise(3, 2));
        Assert.Equal([a.Id], b.Previous);
        await lab.ForgetAsync(a);
        await lab.PruneAsync();
        Assert.Single(await lab.NamesAsync("forgets/"));
        Assert.Equal(3, (await lab.NamesAsync("commits/")).Count);
        await lab.CheckAsync((b, Noise(2, 2)), (c, Noise(3, 2)));

        await lab.ForgetAsync(b);
        await lab.PruneAsync();
        Assert.Equal([ObjectNames.Forget(b.Id)], await lab.NamesAsync("forgets/"));
        Assert.Equal(2, (await lab.NamesAsync("commits/")).Count);
        await lab.CheckAsync((c, Noise(3, 2)));
    }

    [Fact]
    public async Task Foreign_files_are_reported_and_never_deleted()
    {
        await using CollectionLab lab = await NewAsync();
        string[] foreign = ["notes", "photos/summer", "packs/readme", "packs/ab/0123", "index/old-copy", "sessions/x", "points/y", "gc/notes", "gc/00000007/other", "forgets/z"];
        foreach (string name in foreign)
        {
            await lab.Store.PutAsync(name, new byte[] { 1, 2, 3 }, Token);
        }

        RecoveryPoint gone = await lab.BackupAsync(Noise(1, 8));
        RecoveryPoint stays = await lab.BackupAsync(Noise(2, 2));
        await lab.ForgetAsync(gone);
        PrunePlan plan = await lab.Vault.PlanPruneAsync(new PruneSettings(), null, Token);
        Assert.Equal(["notes", "photos/summer"], plan.Foreign.Order(StringComparer.Ordinal));
        Assert.Equal(1, (await lab.Vault.PruneAsync(plan, null, Token)).DeletedPacks);
        Assert.Equal(foreign.Order(StringComparer.Ordinal), (await lab.NamesAsync()).Intersect(foreign).Order(StringComparer.Ordinal));
        Assert.Equal(Noise(2, 2), await RestoreAsync(lab.Vault, stays.Volumes[0]));
    }

    [Fact]
    public async Task Parity_and_second_copies_go_with_what_they_belong_to()
    {
        await using CollectionLab lab = await NewAsync(new ParitySettings(4, 1, 4096));
        RecoveryPoint gone = await lab.BackupAsync(Noise(1, 8));
        await lab.BackupAsync(Noise(2, 2));
        await lab.ForgetAsync(gone);
        await lab.PruneAsync();
        List<string> names = await lab.NamesAsync();
        Assert.All(
            names.Where(name => name.StartsWith("copies/", StringComparison.Ordinal)),
            name => Assert.Contains(name["copies/".Length..], names));
        Assert.Equal(names.Where(name => name.StartsWith("packs/", StringComparison.Ordinal)).Select(name => "parity/" + name[6..]), names.Where(name => name.StartsWith("parity/", StringComparison.Ordinal)));
        Assert.DoesNotContain("copies/" + ObjectNames.Point(gone.Id), names);
    }
}
