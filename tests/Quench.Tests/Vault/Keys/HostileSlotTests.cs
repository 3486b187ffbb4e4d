using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Quench.Blocks;
using Quench.Vault;
using Quench.Vault.Format;
using Quench.Vault.Keys;
using Quench.Vault.Roots;
using Quench.Vault.Stores;
using Xunit;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Vault.Keys;

/// <summary>Slots that somebody has made or changed who wants something. (docs/vault-format.md §3.2)</summary>
public sealed class HostileSlotTests : IAsyncDisposable
{
    private readonly MemoryStore _store = new();

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    [Fact]
    public async Task A_cheaper_guess_than_the_floor_is_not_agreed_to()
    {
        await using BackupVault vault = await CreateAsync(_store);
        KdfCost[] cheap = [KdfCost.Floor with { MemoryKibibytes = KdfCost.Floor.MemoryKibibytes - 1 }, KdfCost.Floor with { Passes = 2 }, KdfCost.Floor with { Lanes = 0 }];
        foreach (KdfCost cost in cheap)
        {
            Assert.Equal("VAULT-013", (await Assert.ThrowsAsync<QuenchException>(() => vault.AddPasswordAsync(Password, cost, Token))).Code);
            Assert.Equal("VAULT-013", (await Assert.ThrowsAsync<QuenchException>(() => vault.ChangePasswordAsync(null, Password, cost, Token))).Code);
        }

        Assert.Contains(await vault.ListKeysAsync(Token), slot => slot.Note?.StartsWith("weak", StringComparison.Ordinal) == true); // the test's own
    }

    [Fact]
    public async Task A_slot_whose_cost_was_lowered_does_not_open_with_the_right_password()
    {
        await (await CreateAsync(_store)).DisposeAsync();
        await RewriteAsync(slot => BinaryPrimitives.WriteUInt32LittleEndian(slot.AsSpan(48), 32));
        Assert.Equal("VAULT-002", (await RefusedAsync()).Code);
    }

    [Theory]
    [InlineData(1u << 30, 3u, 1u)] // 1 TiB
    [InlineData(65536u, 65u, 1u)]
    [InlineData(65536u, 0u, 1u)]
    [InlineData(65536u, 3u, 65u)]
    [InlineData(65536u, 3u, 0u)]
    [InlineData(0u, 3u, 1u)]
    public async Task An_unreasonable_cost_is_refused_before_anything_is_derived_and_listed_as_such(uint memory, uint passes, uint lanes)
    {
        (BackupVault made, string code) = await CreateWithCodeAsync(_store);
        await made.DisposeAsync();
        await RewriteAsync(slot =>
        {
            BinaryPrimitives.WriteUInt32LittleEndian(slot.AsSpan(48), memory);
            BinaryPrimitives.WriteUInt32LittleEndian(slot.AsSpan(52), passes);
            BinaryPrimitives.WriteUInt32LittleEndian(slot.AsSpan(56), lanes);
        });
        Assert.Equal("VAULT-006", (await RefusedAsync()).Code);
        await using BackupVault vault = await BackupVault.OpenAsync(_store, Encoding.ASCII.GetBytes(code), TimeProvider.System, Token);
        KeySlotInfo hostile = (await vault.ListKeysAsync(Token)).Single(slot => slot.Kind == KeySlotKind.Password);
        Assert.False(hostile.IsUsable);
        Assert.StartsWith("never tried", hostile.Note, StringComparison.Ordinal);
        KeySlotInfo ours = (await vault.ListKeysAsync(Token)).Single(slot => slot.OpenedThis);
        Assert.Equal("VAULT-064", (await Assert.ThrowsAsync<QuenchException>(() => vault.RemoveKeyAsync(ours.Id, Token))).Code); // it counts for nothing
    }

    [Fact]
    public async Task A_slot_of_another_vault_and_a_renamed_one_are_damaged()
    {
        MemoryStore other = new();
        await (await CreateAsync(other)).DisposeAsync();
        await (await CreateAsync(_store)).DisposeAsync();
        (string name, byte[] slot) = await PasswordSlotAsync(_store);
        (string foreignName, byte[] foreign) = await PasswordSlotAsync(other);
        await RootCopies.DeleteAsync(_store, name, Token);
        await RootCopies.PutAsync(_store, foreignName, foreign, Token);
        QuenchException failure = await RefusedAsync();
        Assert.Contains("1 of its slots are damaged", failure.Message, StringComparison.Ordinal);

        await RootCopies.DeleteAsync(_store, foreignName, Token);
        await RootCopies.PutAsync(_store, ObjectNames.Slot(Guid.NewGuid()), slot, Token);
        Assert.Contains("1 of its slots are damaged", (await RefusedAsync()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_slot_of_an_unknown_type_is_listed_and_never_tried()
    {
        (BackupVault made, string code) = await CreateWithCodeAsync(_store);
        await made.DisposeAsync();
        await RewriteAsync(slot => slot[12] = 9);
        Assert.Equal("VAULT-002", (await RefusedAsync()).Code);
        await using BackupVault vault = await BackupVault.OpenAsync(_store, Encoding.ASCII.GetBytes(code), TimeProvider.System, Token);
        Assert.Single(await vault.ListKeysAsync(Token), slot => slot is { Kind: KeySlotKind.Unknown, IsUsable: false });
    }

    /// <summary>GCM alone lets its maker craft one ciphertext that opens under two keys; the commitment does not. (§3.2)</summary>
    [Fact]
    public void One_ciphertext_for_two_passwords_opens_with_one_of_them_at_most()
    {
        byte[] one = Encoding.UTF8.GetBytes("one"), two = Encoding.UTF8.GetBytes("two");
        byte[] slot = KeySlot.ForPassword(Guid.NewGuid(), Guid.NewGuid(), one, Cheap, RandomNumberGenerator.GetBytes(32));
        byte[] firstPair = PairOf(slot, one), secondPair = PairOf(slot, two);
        slot.AsSpan(124, 16).Clear(); // the second block of the ciphertext is what is solved for
        byte[] block = TwoKeyGcm.Solve(firstPair[..32], secondPair[..32], slot.AsSpan(96, 12).ToArray(), slot.AsSpan(0, 96).ToArray(), slot.AsSpan(108, 16).ToArray());
        block.CopyTo(slot, 124);
        TwoKeyGcm.Tag(firstPair[..32], slot.AsSpan(96, 12).ToArray(), slot.AsSpan(0, 96).ToArray(), slot.AsSpan(108, 32).ToArray()).CopyTo(slot, 140);
        Assert.True(OpensByGcmAlone(slot, firstPair) && OpensByGcmAlone(slot, secondPair), "the forgery is one");

        HMACSHA256.HashData(firstPair.AsSpan(32), slot.AsSpan(0, 156)).CopyTo(slot, 156);
        KeySlotObject.Close(slot);
        byte[] master = new byte[32];
        Assert.True(KeySlotObject.TryRead(slot, out KeySlotObject read));
        Assert.True(KeySlot.TryOpen(read, one, master));
        Assert.False(KeySlot.TryOpen(read, two, master));
    }

    private static byte[] PairOf(byte[] slot, byte[] password)
    {
        KeySlotObject read = new(slot);
        byte[] pair = new byte[64];
        Quench.Interop.Argon2.Argon2id.Derive(password, read.Salt, (int)read.MemoryKibibytes, (int)read.Passes, (int)read.Lanes, pair);
        return pair;
    }

    private static bool OpensByGcmAlone(byte[] slot, byte[] pair)
    {
        KeySlotObject read = new(slot);
        using AesGcm cipher = new(pair.AsSpan(0, 32), 16);
        return VaultKeys.TryDecrypt(cipher, read.Nonce, read.EncryptedKey, read.Tag, new byte[32], read.Header);
    }

    private static async Task<(string Name, byte[] Slot)> PasswordSlotAsync(MemoryStore store)
    {
        KeyValuePair<string, byte[]> found = (await SnapshotAsync(store)).Single(pair => pair.Key.StartsWith("keys/", StringComparison.Ordinal) && pair.Value[12] == 1);
        return (found.Key, found.Value);
    }

    /// <summary>Changes the password's slot and its copy, and closes them as their maker would.</summary>
    private async Task RewriteAsync(Action<byte[]> change)
    {
        (string name, byte[] slot) = await PasswordSlotAsync(_store);
        change(slot);
        KeySlotObject.Close(slot);
        await RootCopies.DeleteAsync(_store, name, Token);
        await RootCopies.PutAsync(_store, name, slot, Token);
    }

    private Task<QuenchException> RefusedAsync() => Assert.ThrowsAsync<QuenchException>(() => OpenAsync(_store));

    /// <summary>AES-256-GCM taken apart: a block of ciphertext with which one tag is right under two keys. (NIST SP 800-38D, sections 6.4 and 7.1)</summary>
    private static class TwoKeyGcm
    {
        /// <summary>The second of two blocks of ciphertext.</summary>
        internal static byte[] Solve(byte[] key1, byte[] key2, byte[] nonce, byte[] associated, byte[] firstBlock)
        {
            UInt128 h1 = HashKey(key1), h2 = HashKey(key2);
            byte[] open = [.. firstBlock, .. new byte[16]];
            UInt128 rest = Hash(h1, associated, open) ^ Mask(key1, nonce) ^ Hash(h2, associated, open) ^ Mask(key2, nonce);
            // The block is followed by the lengths alone, so it enters each hash times h².
            return Bytes(Multiply(rest, Inverse(Multiply(h1, h1) ^ Multiply(h2, h2))));
        }

        internal static byte[] Tag(byte[] key, byte[] nonce, byte[] associated, byte[] ciphertext) =>
            Bytes(Hash(HashKey(key), associated, ciphertext) ^ Mask(key, nonce));

        private static UInt128 Hash(UInt128 h, byte[] associated, byte[] ciphertext)
        {
            byte[] lengths = new byte[16];
            BinaryPrimitives.WriteInt64BigEndian(lengths, associated.Length * 8L);
            BinaryPrimitives.WriteInt64BigEndian(lengths.AsSpan(8), ciphertext.Length * 8L);
            byte[] all = [.. associated, .. ciphertext, .. lengths]; // both are whole blocks
            UInt128 sum = UInt128.Zero;
            for (int at = 0; at < all.Length; at += 16)
            {
                sum = Multiply(sum ^ BinaryPrimitives.ReadUInt128BigEndian(all.AsSpan(at)), h);
            }

            return sum;
        }

        private static UInt128 HashKey(byte[] key) => Encrypt(key, new byte[16]);

        private static UInt128 Mask(byte[] key, byte[] nonce) => Encrypt(key, [.. nonce, 0, 0, 0, 1]);

        private static UInt128 Encrypt(byte[] key, byte[] block)
        {
            using Aes aes = Aes.Create();
            aes.Key = key;
            return BinaryPrimitives.ReadUInt128BigEndian(aes.EncryptEcb(block, PaddingMode.None));
        }

        private static UInt128 Multiply(UInt128 x, UInt128 y)
        {
            UInt128 product = UInt128.Zero;
            UInt128 reduction = new(0xE100000000000000, 0);
            for (int bit = 127; bit >= 0; bit--)
            {
                product ^= ((x >> bit) & UInt128.One) != UInt128.Zero ? y : UInt128.Zero;
                bool carry = (y & UInt128.One) != UInt128.Zero;
                y = (y >> 1) ^ (carry ? reduction : UInt128.Zero);
            }

            return product;
        }

        /// <summary>x to the power of 2^128 − 2.</summary>
        private static UInt128 Inverse(UInt128 x)
        {
            UInt128 result = new(0x8000000000000000, 0); // one
            UInt128 square = x;
            for (int bit = 1; bit < 128; bit++)
            {
                square = Multiply(square, square);
                result = Multiply(result, square);
            }

            return result;
        }

        private static byte[] Bytes(UInt128 value)
        {
            byte[] bytes = new byte[16];
            BinaryPrimitives.WriteUInt128BigEndian(bytes, value);
            return bytes;
        }
    }
}
