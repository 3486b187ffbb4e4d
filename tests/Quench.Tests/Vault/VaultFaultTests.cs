using Quench.Blocks;
using Quench.Tests.Vault.Faults;
using Quench.Vault;
using Quench.Vault.Stores;
using Xunit;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Vault;

/// <summary>The n-th call of the store fails, for n = 1, 2, … until none fails any more.</summary>
public sealed class VaultFaultTests
{
    [Theory]
    [InlineData(Fault.Once)]
    [InlineData(Fault.Sticky)]
    [InlineData(Fault.LostAnswer)]
    public async Task Whatever_call_of_a_backup_fails_earlier_points_restore_and_the_next_session_works(Fault fault)
    {
        MemoryStore origin = new();
        byte[] old = NewContent(1, ChunkSize * 12);
        byte[] newer = NewContent(2, ChunkSize * 12);
        await using (BackupVault vault = await CreateAsync(origin))
        {
            await BackupAsync(vault, old);
        }

        Dictionary<string, byte[]> start = await SnapshotAsync(origin);
        int failed = 0;
        bool fired = true;
        for (int n = 1; fired; n++)
        {
            MemoryStore store = await StoreOfAsync(start);
            FaultyStore faulty = new(store, n, fault);
            bool acknowledged = await TryBackupAsync(faulty, newer);
            fired = faulty.Fired;
            failed += acknowledged ? 0 : 1;
            await CheckAsync(store, old, newer, acknowledged);
        }

        TestContext.Current.SendDiagnosticMessage($"{fault}: {failed} failed backups");
        Assert.InRange(failed, 8, 200);
    }

    [Theory]
    [InlineData(Fault.Once)]
    [InlineData(Fault.Sticky)]
    [InlineData(Fault.LostAnswer)]
    public async Task Whatever_call_of_making_a_vault_fails_there_is_a_whole_vault_or_none(Fault fault)
    {
        bool fired = true;
        for (int n = 1; fired; n++)
        {
            MemoryStore store = new();
            FaultyStore faulty = new(store, n, fault);
            try
            {
                await using BackupVault vault = await CreateAsync(faulty);
            }
            catch (QuenchException)
            {
                // checked below by what is there
            }

            fired = faulty.Fired;
            if (await store.GetAsync("format", Token) is not null)
            {
                await using BackupVault whole = await OpenAsync(store);
                await BackupAsync(whole, NewContent(3, ChunkSize));
            }
            else
            {
                Assert.Equal("VAULT-001", (await Assert.ThrowsAsync<QuenchException>(() => OpenAsync(store))).Code);
            }
        }
    }

    private static async Task<bool> TryBackupAsync(FaultyStore store, byte[] content)
    {
        try
        {
            await using BackupVault vault = await OpenAsync(store);
            await BackupAsync(vault, content);
            return true;
        }
        catch (QuenchException)
        {
            return false;
        }
    }

    private static async Task CheckAsync(MemoryStore store, byte[] old, byte[] newer, bool acknowledged)
    {
        await using BackupVault vault = await OpenAsync(store);
        IReadOnlyList<RecoveryPoint> points = await vault.ListPointsAsync(Token);
        Assert.Equal(old, await RestoreAsync(vault, points[0].Volumes[0]));
        Assert.True(points.Count == 2 || (points.Count == 1 && !acknowledged), $"{points.Count} points, acknowledged: {acknowledged}");
        if (points.Count == 2)
        {
            Assert.Equal(newer, await RestoreAsync(vault, points[1].Volumes[0]));
        }

        RecoveryPoint next = await BackupAsync(vault, newer);
        Assert.Equal(newer, await RestoreAsync(vault, next.Volumes[0]));
        Assert.Empty((await vault.VerifyAsync(null, VerifyLevel.Data, null, Token)).Damage);
    }
}
