using Quench.Vault;
using Quench.Vault.Stores;
using Xunit;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Vault;

/// <summary>What was verified when is remembered in the vault, and all parts together are the whole.</summary>
public sealed class VaultChecksTests
{
    [Fact]
    public async Task Every_pack_is_in_exactly_one_part_and_all_parts_look_at_every_chunk()
    {
        MemoryStore store = new();
        await using BackupVault vault = await CreateAsync(store);
        for (int i = 0; i < 20; i++)
        {
            await BackupAsync(vault, TestSeed.NewRandom().NextBytes(ChunkSize + i)); // a pack each
        }

        const int Count = 7;
        VerifyReport whole = await vault.VerifyAsync(null, VerifyLevel.Data, null, Token);
        long bytes = 0;
        int packs = 0;
        for (int number = 1; number <= Count; number++)
        {
            VerifyReport part = await vault.VerifyAsync(new VerifyRequest { Part = new VerifyPart(number, Count) }, null, Token);
            Assert.True(part.IsSound);
            (bytes, packs) = (bytes + part.ReadBytes, packs + part.Packs);
        }

        Assert.Equal((whole.ReadBytes, whole.Packs), (bytes, packs));
    }

    [Fact]
    public async Task The_latest_check_of_each_level_is_remembered_in_one_object_that_others_see()
    {
        MemoryStore store = new();
        await using BackupVault vault = await CreateAsync(store);
        RecoveryPoint point = await BackupAsync(vault, NewContent(1, ChunkSize * 5));
        Assert.Null((await vault.ReadChecksAsync(Token)).Latest(point));
        foreach (VerifyLevel level in (VerifyLevel[])[VerifyLevel.Data, VerifyLevel.Listed, VerifyLevel.Structure, VerifyLevel.Listed])
        {
            await vault.RecordCheckAsync(await vault.VerifyAsync(point, level, null, Token), Token);
        }

        await using BackupVault other = await OpenAsync(store);
        VaultChecks checks = await other.ReadChecksAsync(Token);
        Assert.Equal([VerifyLevel.Data, VerifyLevel.Structure, VerifyLevel.Listed], checks.Of(point).Select(check => check.Level));
        Assert.Equal(VerifyLevel.Data, checks.Latest(point)!.Level);
        Assert.Single((await SnapshotAsync(store)).Keys, name => name.StartsWith("checks/", StringComparison.Ordinal));
        VerifyReport report = await other.VerifyAsync(null, VerifyLevel.Data, null, Token);
        Assert.True(report.IsSound && report.Foreign.Count == 0);
    }

    [Fact]
    public async Task All_parts_count_as_the_whole_for_points_that_were_there_and_damage_counts_at_once()
    {
        MemoryStore store = new();
        await using BackupVault vault = await CreateAsync(store);
        RecoveryPoint point = await BackupAsync(vault, NewContent(2, ChunkSize * 5));
        await CheckPartAsync(vault, new VerifyPart(1, 2));
        Assert.Equal(VerifyLevel.Structure, (await vault.ReadChecksAsync(Token)).Latest(point)!.Level);
        RecoveryPoint later = await BackupAsync(vault, NewContent(3, ChunkSize * 5));
        await CheckPartAsync(vault, new VerifyPart(2, 2));
        VaultChecks checks = await vault.ReadChecksAsync(Token);
        Assert.Equal(VerifyLevel.Data, checks.Latest(point)!.Level);
        Assert.Equal(VerifyLevel.Structure, checks.Latest(later)!.Level);
        await CheckPartAsync(vault, new VerifyPart(1, 2));
        Assert.Equal(VerifyLevel.Data, (await vault.ReadChecksAsync(Token)).Latest(later)!.Level);

        VerifyReport damaged = await vault.VerifyAsync(later, VerifyLevel.Data, null, Token);
        await vault.RecordCheckAsync(damaged with { Damage = [new VaultDamage("made up", later.Id)] }, Token);
        Assert.False((await vault.ReadChecksAsync(Token)).Latest(later)!.IsSound);
        Assert.True((await vault.ReadChecksAsync(Token)).Latest(point)!.IsSound);
    }

    [Theory]
    [InlineData("1/30", true)]
    [InlineData("30/30", true)]
    [InlineData("0/30", false)]
    [InlineData("31/30", false)]
    [InlineData("1/0", false)]
    [InlineData("1", false)]
    [InlineData("-1/3", false)]
    [InlineData("1/2000", false)]
    public void A_part_is_read_as_it_is_written(string text, bool isPart)
    {
        Assert.Equal(isPart, VerifyPart.TryParse(text, out VerifyPart part));
        Assert.True(!isPart || part.ToString() == text);
    }

    [Fact]
    public void Ranges_that_touch_are_told_as_one()
    {
        Guid point = Guid.NewGuid();
        VaultDamage At(long offset, long length) => new("lost", point, "disk", new Quench.Blocks.Extent(offset, length));
        VerifyReport report = new(VerifyLevel.Data, 1, 1, 1, 1, [At(10, 5), At(0, 10), At(30, 5), At(15, 1), new VaultDamage("else")]);
        HurtVolume hurt = Assert.Single(report.Hurt);
        Assert.Equal([new Quench.Blocks.Extent(0, 16), new Quench.Blocks.Extent(30, 5)], hurt.Ranges);
    }

    private static async Task CheckPartAsync(BackupVault vault, VerifyPart part) =>
        await vault.RecordCheckAsync(await vault.VerifyAsync(new VerifyRequest { Part = part }, null, Token), Token);
}
