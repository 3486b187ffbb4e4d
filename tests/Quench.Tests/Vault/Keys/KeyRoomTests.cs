using System.Text;
using Quench.Blocks;
using Quench.Blocks.Buffers;
using Quench.Tests.Vault.Faults;
using Quench.Vault;
using Quench.Vault.Format;
using Quench.Vault.Roots;
using Quench.Vault.Stores;
using Xunit;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Vault.Keys;

/// <summary>The ways into a vault come and go; at every moment one of them opens it, and one that was removed never does again.</summary>
public sealed class KeyRoomTests : IAsyncDisposable
{
    private static readonly byte[] s_new = Encoding.UTF8.GetBytes("another horse");

    private readonly MemoryStore _store = new();

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    [Fact]
    public async Task Each_kind_of_key_opens_the_vault_and_says_so()
    {
        byte[] file = TestSeed.NewRandom().NextBytes(32);
        byte[] code;
        await using (BackupVault vault = await CreateAsync(_store))
        {
            await vault.AddPasswordAsync(s_new, Cheap, Cheap, Token);
            await vault.AddKeyFileAsync(file, Token);
            (SecretBytes made, _) = await vault.AddRecoveryCodeAsync(Token);
            code = made.Span.ToArray();
            made.Dispose();
        }

        await DemandOpenedByAsync(SecretKind.Typed, Password, KeySlotKind.Password);
        await DemandOpenedByAsync(SecretKind.Typed, s_new, KeySlotKind.Password);
        await DemandOpenedByAsync(SecretKind.Typed, code, KeySlotKind.RecoveryCode);
        await DemandOpenedByAsync(SecretKind.KeyFile, file, KeySlotKind.KeyFile);
        Assert.Equal("VAULT-002", (await RefusedAsync(_store, SecretKind.Typed, file)).Code);
        Assert.Equal("VAULT-002", (await RefusedAsync(_store, SecretKind.KeyFile, Password)).Code);
        file[0] ^= 1;
        Assert.Equal(("VAULT-002", 12), (await RefusedAsync(_store, SecretKind.KeyFile, file)) is { } wrong ? (wrong.Code, wrong.ExitCode) : default);
    }

    [Fact]
    public async Task A_removed_key_does_not_open_the_vault_even_if_its_bytes_come_back()
    {
        await using BackupVault vault = await CreateAsync(_store);
        Guid slot = await vault.AddPasswordAsync(s_new, Cheap, Cheap, Token);
        byte[] bytes = (await _store.GetAsync(ObjectNames.Slot(slot), Token))!;
        await vault.RemoveKeyAsync(slot, Token);
        Assert.DoesNotContain((await SnapshotAsync(_store)).Keys, name => name.Contains(ObjectNames.Slot(slot), StringComparison.Ordinal));
        Assert.Equal("VAULT-002", (await RefusedAsync(_store, SecretKind.Typed, s_new)).Code);

        await RootCopies.PutAsync(_store, ObjectNames.Slot(slot), bytes, Token);
        Assert.Equal("VAULT-002", (await RefusedAsync(_store, SecretKind.Typed, s_new)).Code);
        Assert.DoesNotContain(await vault.ListKeysAsync(Token), one => one.Id == slot);
        Assert.Equal([ObjectNames.Slot(slot)], (await vault.HealRootsAsync(Token)).Removed);
        Assert.Null(await _store.GetAsync(ObjectNames.Slot(slot), Token));
        Assert.True((await vault.VerifyAsync(null, VerifyLevel.Data, null, Token)).IsSound);
    }

    [Fact]
    public async Task The_last_sound_key_is_not_removed()
    {
        await using BackupVault vault = await CreateAsync(_store);
        KeySlotInfo[] slots = [.. await vault.ListKeysAsync(Token)];
        Assert.Equal(2, slots.Length);
        KeySlotInfo password = slots.Single(slot => slot.Kind == KeySlotKind.Password);
        KeySlotInfo code = slots.Single(slot => slot.Kind == KeySlotKind.RecoveryCode);
        foreach (string name in (string[])[ObjectNames.Slot(code.Id), RootCopies.CopyOf(ObjectNames.Slot(code.Id))])
        {
            await ChangeAsync(name, bytes => bytes[150] ^= 1);
        }

        Assert.Equal("VAULT-064", (await Assert.ThrowsAsync<QuenchException>(() => vault.RemoveKeyAsync(password.Id, Token))).Code);
        await using BackupVault again = await OpenAsync(_store);
        Assert.Equal("damaged", (await again.FindKeyAsync(code.ShortId, Token)).Note);
        await again.RemoveKeyAsync(code.Id, Token); // a damaged one may go
        Assert.Single(await again.ListKeysAsync(Token));
        Assert.Equal("VAULT-066", (await Assert.ThrowsAsync<QuenchException>(() => again.RemoveKeyAsync(code.Id, Token))).Code);
    }

    [Fact]
    public async Task Two_who_remove_the_last_two_keys_at_once_do_not_lock_everybody_out()
    {
        for (int at = 1, fired = 1; fired == 1; at++)
        {
            MemoryStore store = new();
            (BackupVault first, string code) = await CreateWithCodeAsync(store);
            KeySlotInfo[] slots = [.. await first.ListKeysAsync(Token)];
            InterruptedStore interrupted = new(store, at, () => TryAsync(first.RemoveKeyAsync(slots[0].Id, Token)));
            await TryAsync(ActAsync(interrupted, second => second.RemoveKeyAsync(slots[1].Id, Token)));

            fired = interrupted.Fired ? 1 : 0;
            Assert.True(await OpensAsync(store, Password) || await OpensAsync(store, Encoding.ASCII.GetBytes(code)), $"interrupted at call {at}");
            await first.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_declared_removal_is_void_while_there_is_no_other_way_in()
    {
        await using BackupVault vault = await CreateAsync(_store);
        KeySlotInfo code = (await vault.ListKeysAsync(Token)).Single(slot => slot.Kind == KeySlotKind.RecoveryCode);
        await vault.RemoveKeyAsync(code.Id, Token);
        KeySlotInfo password = (await vault.ListKeysAsync(Token)).Single();
        VaultOpening opened = await VaultOpening.OpenAsync(_store, Password, Token);
        await Quench.Vault.Keys.SlotRemoval.DeclareAsync(_store, opened.Keys, password.Id, TimeProvider.System.GetUtcNow(), Token);
        opened.Keys.Dispose();
        Assert.True(await OpensAsync(_store, Password));
        Assert.Empty((await vault.HealRootsAsync(Token)).Removed);
        await vault.AddPasswordAsync(s_new, Cheap, Cheap, Token);
        Assert.False(await OpensAsync(_store, Password)); // now it stands
        Assert.True(await OpensAsync(_store, s_new));
    }

    [Fact]
    public async Task What_says_nothing_in_the_place_of_a_removal_locks_nobody_out()
    {
        await using BackupVault vault = await CreateAsync(_store);
        Guid slot = await vault.AddPasswordAsync(s_new, Cheap, Cheap, Token);
        await _store.PutAsync(ObjectNames.Removal(slot), new byte[400], Token);
        Assert.True(await OpensAsync(_store, s_new));
        Assert.Contains((await vault.VerifyAsync(null, VerifyLevel.Structure, null, Token)).Damage, one => one.What.Contains("removed/", StringComparison.Ordinal));
        await vault.RemoveKeyAsync(slot, Token);
        Assert.False(await OpensAsync(_store, s_new));
        Assert.True((await vault.VerifyAsync(null, VerifyLevel.Structure, null, Token)).IsSound);
    }

    [Fact]
    public async Task A_password_changes_by_the_slot_that_opened_the_vault()
    {
        await using (BackupVault vault = await CreateAsync(_store))
        {
            await Assert.ThrowsAsync<QuenchException>(() => vault.ChangePasswordAsync(null, Array.Empty<byte>(), Cheap, Cheap, Token));
            Guid second = await vault.AddPasswordAsync(s_new, Cheap, Cheap, Token);
            Assert.Equal("VAULT-067", (await Assert.ThrowsAsync<QuenchException>( // opened by the recovery code; two passwords are there
                () => vault.ChangePasswordAsync(null, s_new, Cheap, Cheap, Token))).Code);
            await vault.RemoveKeyAsync(second, Token);
        }

        await using BackupVault opened = await OpenAsync(_store);
        (Guid added, Guid replaced) = await opened.ChangePasswordAsync(null, s_new, Cheap, Cheap, Token);
        Assert.NotEqual(added, replaced);
        Assert.False(await OpensAsync(_store, Password));
        Assert.True(await OpensAsync(_store, s_new));
    }

    [Theory]
    [InlineData(Fault.Once)]
    [InlineData(Fault.Sticky)]
    [InlineData(Fault.LostAnswer)]
    public async Task Whatever_call_fails_while_a_password_is_changed_the_old_or_the_new_one_opens_the_vault(Fault fault)
    {
        await (await CreateAsync(_store)).DisposeAsync();
        await EachFaultAsync(fault, vault => vault.ChangePasswordAsync(null, s_new, Cheap, Cheap, Token), async (store, done, n) =>
        {
            bool old = await OpensAsync(store, Password);
            bool @new = await OpensAsync(store, s_new);
            Assert.True(done ? @new && !old : old || @new, $"{fault} at call {n}: done {done}, old {old}, new {@new}");
        });
    }

    [Theory]
    [InlineData(Fault.Once)]
    [InlineData(Fault.Sticky)]
    [InlineData(Fault.LostAnswer)]
    public async Task Whatever_call_fails_while_a_key_is_added_the_others_open_the_vault(Fault fault)
    {
        await (await CreateAsync(_store)).DisposeAsync();
        await EachFaultAsync(fault, vault => vault.AddPasswordAsync(s_new, Cheap, Cheap, Token), async (store, done, n) =>
        {
            Assert.True(await OpensAsync(store, Password), $"{fault} at call {n}");
            Assert.True(!done || await OpensAsync(store, s_new), $"{fault} at call {n}");
        });
    }

    [Theory]
    [InlineData(Fault.Once)]
    [InlineData(Fault.Sticky)]
    [InlineData(Fault.LostAnswer)]
    public async Task Whatever_call_fails_while_a_key_is_removed_the_others_open_the_vault_and_a_removed_one_never_does(Fault fault)
    {
        Guid slot;
        await using (BackupVault vault = await CreateAsync(_store))
        {
            slot = await vault.AddPasswordAsync(s_new, Cheap, Cheap, Token);
        }

        byte[] bytes = (await _store.GetAsync(ObjectNames.Slot(slot), Token))!;
        await EachFaultAsync(fault, vault => vault.RemoveKeyAsync(slot, Token), async (store, done, n) =>
        {
            Assert.True(await OpensAsync(store, Password), $"{fault} at call {n}");
            bool before = await OpensAsync(store, s_new);
            Assert.False(done && before, $"{fault} at call {n}");
            await HealAsync(store);
            Assert.Equal(before, await OpensAsync(store, s_new)); // a repair neither removes a key nor brings one back
            if (done)
            {
                await RootCopies.PutAsync(store, ObjectNames.Slot(slot), bytes, Token);
                Assert.False(await OpensAsync(store, s_new), $"{fault} at call {n}");
            }
        });
    }

    [Fact]
    public async Task A_repair_and_a_removal_at_once_do_not_bring_the_key_back()
    {
        Guid slot;
        await using (BackupVault vault = await CreateAsync(_store))
        {
            slot = await vault.AddPasswordAsync(s_new, Cheap, Cheap, Token);
        }

        Dictionary<string, byte[]> whole = await SnapshotAsync(_store);
        string name = ObjectNames.Slot(slot);
        foreach (string? lost in (string?[])[null, name, RootCopies.CopyOf(name)])
        {
            foreach (bool repairInside in (bool[])[true, false])
            {
                for (int at = 1, fired = 1; fired == 1; at++)
                {
                    MemoryStore store = await StoreOfAsync(whole.Where(pair => pair.Key != lost));
                    InterruptedStore interrupted = new(store, at, () => repairInside ? HealAsync(store) : RemoveAsync(store, slot));
                    await (repairInside ? RemoveAsync(interrupted, slot) : HealAsync(interrupted));
                    fired = interrupted.Fired ? 1 : 0;
                    if (fired == 0)
                    {
                        break; // the other one never came
                    }

                    Assert.False(await OpensAsync(store, s_new), $"lost {lost}, call {at}");
                    await HealAsync(store);
                    Assert.DoesNotContain((await SnapshotAsync(store)).Keys, found => found.Contains(name, StringComparison.Ordinal));
                }
            }
        }
    }

    private static async Task HealAsync(IObjectStore store)
    {
        await using BackupVault vault = await BackupVault.OpenAsync(store, Password, TimeProvider.System, Token);
        _ = await vault.HealRootsAsync(Token);
    }

    private static async Task RemoveAsync(IObjectStore store, Guid slot)
    {
        await using BackupVault vault = await OpenAsync(store);
        await vault.RemoveKeyAsync(slot, Token);
    }

    private async Task EachFaultAsync(Fault fault, Func<BackupVault, Task> act, Func<MemoryStore, bool, int, Task> check)
    {
        Dictionary<string, byte[]> start = await SnapshotAsync(_store);
        bool fired = true;
        int failed = 0;
        for (int n = 1; fired; n++)
        {
            MemoryStore store = await StoreOfAsync(start);
            FaultyStore faulty = new(store, n, fault);
            bool done = await TryAsync(ActAsync(faulty, act));
            fired = faulty.Fired;
            failed += done ? 0 : 1;
            await check(store, done, n);
        }

        Assert.InRange(failed, 4, 200);
    }

    private static async Task ActAsync(IObjectStore store, Func<BackupVault, Task> act)
    {
        await using BackupVault vault = await OpenAsync(store);
        await act(vault);
    }

    private static async Task<bool> TryAsync(Task act)
    {
        try
        {
            await act;
            return true;
        }
        catch (QuenchException)
        {
            return false;
        }
    }

    private static async Task<bool> OpensAsync(IObjectStore store, byte[] secret) =>
        await TryAsync(DemandOpensAsync(store, secret));

    private static async Task DemandOpensAsync(IObjectStore store, byte[] secret)
    {
        await using BackupVault vault = await BackupVault.OpenAsync(store, secret, TimeProvider.System, Token);
    }

    private static Task<QuenchException> RefusedAsync(IObjectStore store, SecretKind kind, byte[] secret) =>
        Assert.ThrowsAsync<QuenchException>(() => BackupVault.OpenAsync(store, kind, secret, TimeProvider.System, Token));

    private async Task DemandOpenedByAsync(SecretKind kind, byte[] secret, KeySlotKind slot)
    {
        await using BackupVault vault = await BackupVault.OpenAsync(_store, kind, secret, TimeProvider.System, Token);
        IReadOnlyList<KeySlotInfo> slots = await vault.ListKeysAsync(Token);
        Assert.Equal(5, slots.Count);
        Assert.Equal(slot, slots.Single(one => one.OpenedThis).Kind);
        Assert.All(slots, one => Assert.True(one.IsUsable));
    }

    private async Task ChangeAsync(string name, Action<byte[]> change)
    {
        byte[] bytes = (await _store.GetAsync(name, Token))!;
        change(bytes);
        await _store.DeleteAsync(name, Token);
        await _store.PutAsync(name, bytes, Token);
    }
}
