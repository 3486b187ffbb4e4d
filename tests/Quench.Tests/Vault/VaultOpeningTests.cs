using System.Security.Cryptography;
using System.Text;
using Quench.Blocks;
using Quench.Tests.Vault.Faults;
using Quench.Vault;
using Quench.Vault.Format;
using Quench.Vault.Stores;
using Xunit;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Vault;

public sealed class VaultOpeningTests
{
    [Fact]
    public async Task A_wrong_password_is_told_from_damage()
    {
        MemoryStore store = new();
        await using BackupVault vault = await CreateAsync(store);
        QuenchException failure = await FailsAsync(store, "wrong horse");
        Assert.Equal(("VAULT-002", 12), (failure.Code, failure.ExitCode));
        Dictionary<string, byte[]> objects = await SnapshotAsync(store);
        foreach (string name in objects.Keys.Where(name => name.Contains("keys/", StringComparison.Ordinal)))
        {
            objects[name][130] ^= 1;
        }

        Assert.Equal("VAULT-005", (await FailsAsync(await StoreOfAsync(objects), "correct horse")).Code);
    }

    [Fact]
    public async Task The_recovery_code_opens_the_vault_however_it_is_typed()
    {
        MemoryStore store = new();
        (BackupVault vault, string code) = await CreateWithCodeAsync(store);
        await vault.DisposeAsync();
        Assert.Matches("^([0-9A-Z]{7}-){7}[0-9A-Z]{7}$", code);
        foreach (string typed in (string[])[code, code.ToLowerInvariant(), code.Replace("-", " ", StringComparison.Ordinal) + "\n", code.Replace('0', 'O').Replace('1', 'l')])
        {
            await using BackupVault again = await BackupVault.OpenAsync(store, Encoding.ASCII.GetBytes(typed), TimeProvider.System, Token);
        }

        char[] mistyped = code.ToCharArray();
        mistyped[3] = mistyped[3] == 'A' ? 'B' : 'A';
        Assert.Equal("VAULT-002", (await FailsAsync(store, new string(mistyped))).Code);
    }

    [Fact]
    public async Task What_is_no_vault_is_refused()
    {
        QuenchException failure = await FailsAsync(new MemoryStore(), "x");
        Assert.Equal(("VAULT-001", 10), (failure.Code, failure.ExitCode));
        MemoryStore other = new();
        await other.PutAsync("format", Encoding.ASCII.GetBytes("something else entirely"), Token);
        Assert.Equal("VAULT-001", (await FailsAsync(other, "x")).Code);
    }

    [Fact]
    public async Task A_vault_is_made_in_an_empty_place_only()
    {
        MemoryStore store = new();
        await using BackupVault vault = await CreateAsync(store);
        Assert.Equal("VAULT-011", (await Assert.ThrowsAsync<QuenchException>(() => CreateAsync(store))).Code);
        MemoryStore full = new();
        await full.PutAsync("photo", new byte[1], Token);
        QuenchException failure = await Assert.ThrowsAsync<QuenchException>(() => CreateAsync(full));
        Assert.Equal("VAULT-012", failure.Code);
        Assert.Contains("photo", failure.Message, StringComparison.Ordinal);
        await store.DeleteAsync("format", Token);
        Assert.Equal("VAULT-011", (await Assert.ThrowsAsync<QuenchException>(() => CreateAsync(store))).Code); // its copy is there
        await store.DeleteAsync("copies/format", Token);
        Assert.Contains("no file named format", (await Assert.ThrowsAsync<QuenchException>(() => CreateAsync(store))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Settings_that_are_too_weak_or_impossible_are_refused_before_anything_is_written()
    {
        MemoryStore store = new();
        VaultSettings weak = new() { Kdf = KdfCost.Floor with { MemoryKibibytes = KdfCost.Floor.MemoryKibibytes - 1 } };
        Assert.Equal("VAULT-013", (await Assert.ThrowsAsync<QuenchException>(
            () => BackupVault.CreateAsync(store, weak, Password, TimeProvider.System, Token))).Code);
        foreach (int size in (int[])[0, 8192, 20_000, 8 << 20])
        {
            Assert.Equal("VAULT-013", (await Assert.ThrowsAsync<QuenchException>(
                () => BackupVault.CreateAsync(store, new VaultSettings { ChunkSize = size }, Password, TimeProvider.System, Token))).Code);
        }

        Assert.Empty(await SnapshotAsync(store));
    }

    [Theory]
    [InlineData(2, 0ul, 0ul, "VAULT-003")]
    [InlineData(1, 4ul, 0ul, "VAULT-004")]
    public async Task A_newer_vault_or_unknown_features_are_refused_before_a_key_is_derived(int major, ulong reader, ulong writer, string code)
    {
        MemoryStore store = new();
        await store.PutAsync("format", FormatObject.Write(Guid.NewGuid(), 0, (ushort)major, reader, writer), Token);
        FaultyStore onlyOneCall = new(store, 2, Fault.Sticky);
        Assert.Equal(code, (await FailsAsync(onlyOneCall, "x")).Code);
    }

    [Fact]
    public async Task Unknown_features_of_a_writer_allow_reading_and_refuse_a_session_before_a_byte_is_written()
    {
        MemoryStore store = new();
        byte[] content = NewContent(4, ChunkSize * 3);
        (BackupVault vault, string code) = await CreateWithCodeAsync(store);
        await BackupAsync(vault, content);
        await vault.DisposeAsync();

        // A later program has turned a feature on: new "format", and a config that vouches for it.
        Dictionary<string, byte[]> objects = await SnapshotAsync(store);
        VaultOpening opened = await VaultOpening.OpenAsync(store, Encoding.ASCII.GetBytes(code), Token);
        byte[] format = FormatObject.Write(opened.Keys.VaultId, 0, writer: 2);
        byte[] config = ConfigBody.Write(format, ChunkSize, ConfigBody.DefaultPackTarget, 0, 2);
        objects["format"] = format;
        objects[ObjectNames.Config(2)] = opened.Keys.SealEnvelope(EnvelopeKind.Config, ObjectNames.Config(2), config);
        opened.Keys.Dispose();
        MemoryStore changed = await StoreOfAsync(objects);
        await using BackupVault again = await OpenAsync(changed);
        RecoveryPoint point = Assert.Single(await again.ListPointsAsync(Token));
        Assert.Equal(content, await RestoreAsync(again, point.Volumes[0]));
        Assert.Equal("VAULT-004", (await Assert.ThrowsAsync<QuenchException>(() => again.BeginAsync("host", Token))).Code);
        Assert.Equal(objects.Count, (await SnapshotAsync(changed)).Count);
    }

    [Theory]
    [InlineData(uint.MaxValue, 3u, 1u)]
    [InlineData(65536u, 1000u, 1u)]
    [InlineData(65536u, 0u, 1u)]
    [InlineData(64u, 3u, 64u)]
    public async Task A_slot_that_asks_for_too_much_is_refused_before_derivation(uint memory, uint passes, uint lanes)
    {
        MemoryStore store = new();
        await using BackupVault vault = await CreateAsync(store);
        Dictionary<string, byte[]> objects = await SnapshotAsync(store);
        foreach ((string name, byte[] slot) in objects.Where(pair => pair.Key.Contains("keys/", StringComparison.Ordinal) && pair.Value[12] == 1))
        {
            System.Buffers.Binary.BinaryPrimitives.WriteUInt32LittleEndian(slot.AsSpan(48), memory);
            System.Buffers.Binary.BinaryPrimitives.WriteUInt32LittleEndian(slot.AsSpan(52), passes);
            System.Buffers.Binary.BinaryPrimitives.WriteUInt32LittleEndian(slot.AsSpan(56), lanes);
            SHA256.HashData(slot.AsSpan(0, 188), slot.AsSpan(188));
        }

        Assert.Equal("VAULT-006", (await FailsAsync(await StoreOfAsync(objects), "correct horse")).Code);
    }

    [Fact]
    public async Task A_real_vault_in_a_directory_with_the_real_cost_of_a_guess()
    {
        string folder = Path.Combine(Path.GetTempPath(), "quench-vault-" + Guid.NewGuid().ToString("N"));
        try
        {
            byte[] content = NewContent(21, 3_000_000, 65536);
            await using (BackupVault vault = (await BackupVault.CreateAsync(
                new LocalDirectory(folder), new VaultSettings { Kdf = KdfCost.Floor }, Password, TimeProvider.System, Token)).Vault)
            {
                await BackupAsync(vault, content);
            }

            await using BackupVault again = await OpenAsync(new LocalDirectory(folder));
            RecoveryPoint point = (await again.FindPointAsync("latest", Token))!;
            Assert.Equal(content, await RestoreAsync(again, point.Volumes[0]));
            Assert.True((await again.VerifyAsync(null, VerifyLevel.Data, null, Token)).IsSound);
            await File.WriteAllTextAsync(Path.Combine(folder, "NOTES.txt"), "hello", Token);
            VerifyReport report = await again.VerifyAsync(null, VerifyLevel.Data, null, Token);
            Assert.Equal(["NOTES.txt"], report.Foreign);
            Assert.True(report.IsSound);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task<QuenchException> FailsAsync(IObjectStore store, string password) =>
        await Assert.ThrowsAsync<QuenchException>(() => BackupVault.OpenAsync(store, Encoding.UTF8.GetBytes(password), TimeProvider.System, Token));
}
