using System.Globalization;
using Quench.Blocks;
using Quench.Tests.Vault.Faults;
using Quench.Vault;
using Quench.Vault.Stores;
using Xunit;
using static Quench.Tests.Vault.Parity.RepairLab;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Vault.Parity;

/// <summary>
/// Healing: to the byte within the budget, from copies beyond it, and never for the worse. QUENCH_REPAIRS says how many random vaults are
/// damaged and repaired; 1000 is the proof, some dozens the default.
/// </summary>
public sealed class RepairTests
{
    private static readonly ParitySettings s_parity = new(20, 2, 4096);

    private static int Rounds { get; } =
        int.TryParse(Environment.GetEnvironmentVariable("QUENCH_REPAIRS"), CultureInfo.InvariantCulture, out int rounds) ? rounds : 60;

    [Fact]
    public async Task A_pack_that_rots_within_the_budget_is_healed_to_the_byte()
    {
        byte[] content = TestSeed.NewRandom().NextBytes(ChunkSize * 40);
        Dictionary<string, byte[]> sound = await NewVaultAsync(s_parity, content);
        Dictionary<string, byte[]> hurt = new(sound);
        string pack = Largest(sound, "packs/");
        hurt[pack] = [.. sound[pack]];
        hurt[pack].AsSpan(20_000, 30_000).Clear();
        MemoryStore store = await StoreOfAsync(hurt);
        Assert.False((await VerifyAsync(store)).IsSound);

        RepairReport report = await RepairAsync(store);
        HealedPack healed = Assert.Single(report.Healed);
        Assert.True(healed.ByParity && report.IsSound);
        Assert.Equal(sound[pack], await store.GetAsync(pack, Token));
        Assert.True((await VerifyAsync(store)).IsSound);
        Assert.Empty((await RepairAsync(store)).Healed);
    }

    [Fact]
    public async Task Lost_and_rotten_parity_is_verified_as_damage_and_made_again()
    {
        Dictionary<string, byte[]> sound = await NewVaultAsync(s_parity, TestSeed.NewRandom().NextBytes(ChunkSize * 40));
        string parity = Largest(sound, "parity/");
        foreach (Func<byte[], byte[]?> damage in (List<Func<byte[], byte[]?>>)[_ => null, bytes => [.. bytes[..^5], 0, 0, 0, 0, 0], bytes => bytes[..9000], bytes => [.. bytes, 1]])
        {
            Dictionary<string, byte[]> hurt = new(sound);
            hurt.Remove(parity);
            if (damage(sound[parity]) is { } bytes)
            {
                hurt[parity] = bytes;
            }

            MemoryStore store = await StoreOfAsync(hurt);
            Assert.Contains((await VerifyAsync(store)).Damage, found => found.What.Contains(parity, StringComparison.Ordinal));
            Assert.Equal(1, (await RepairAsync(store)).ParityMade);
            Assert.Equal(sound[parity], await store.GetAsync(parity, Token));
            Assert.True((await VerifyAsync(store)).IsSound);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_parity_can_not_heal_comes_from_another_vault_or_from_the_volume(bool live)
    {
        byte[] content = NewContent(TestSeed.Value, ChunkSize * 300);
        Dictionary<string, byte[]> hurt = await NewVaultAsync(ParitySettings.None, content);
        foreach (string pack in hurt.Keys.Where(name => name.StartsWith("packs/", StringComparison.Ordinal)).ToList())
        {
            hurt.Remove(pack); // map pages and all
        }

        MemoryStore store = await StoreOfAsync(hurt);
        Assert.Empty(await ReadableAsync(store, [content]));
        await using BackupVault other = await OpenAsync(await StoreOfAsync(await NewVaultAsync(ParitySettings.None, content)));
        await using IBlockReader copy = live
            ? await DeviceOfAsync(content)
            : other.OpenImage((await other.ListPointsAsync(Token))[0].Volumes[0]);
        RepairReport report = await RepairAsync(store, new GoodCopy("the copy", copy));
        Assert.True(report.IsSound, string.Join('\n', report.Unhealed));
        Assert.Contains("the copy", report.Healed[0].From);
        VerifyReport verified = await VerifyAsync(store);
        Assert.True(verified.IsSound, string.Join('\n', verified.Damage));
        Assert.Equal(300, (await ReadableAsync(store, [content])).Count);
    }

    [Fact]
    public async Task What_can_not_be_healed_is_named_by_its_bytes()
    {
        Random random = TestSeed.NewRandom();
        byte[] content = random.NextBytes(ChunkSize * 20);
        Dictionary<string, byte[]> hurt = await NewVaultAsync(ParitySettings.None, content);
        string pack = Largest(hurt, "packs/");
        hurt[pack].AsSpan(1000, ChunkSize * 15).Clear(); // whatever order the chunks lie in, some are of the half that has moved on
        MemoryStore store = await StoreOfAsync(hurt);
        byte[] changed = [.. content];
        random.NextBytes(changed.AsSpan(0, ChunkSize * 10)); // the live volume has moved on in its first half
        RepairReport report = await RepairAsync(store, new GoodCopy("live", await DeviceOfAsync(changed)));
        HashSet<(int, long)> readable = await ReadableAsync(store, [content]);

        // Where the map's only page was hit too, all of the volume is named, and chunks below it that nobody can see to be needed.
        Extent[] named = [.. report.Unhealed.Where(damage => damage.Range is not null).Select(damage => damage.Range!.Value)];
        Assert.NotEmpty(named);
        Assert.Equal(content.Length, named.Sum(range => range.Length) + (readable.Count * (long)ChunkSize));
        Assert.Equal((await VerifyAsync(store)).Damage.Where(damage => damage.Range is not null).Select(damage => damage.Range!.Value), named);
    }

    [Fact]
    public async Task The_last_whole_chunk_of_a_cut_pack_survives_its_repair()
    {
        byte[] content = TestSeed.NewRandom().NextBytes(ChunkSize * 6);
        Dictionary<string, byte[]> hurt = await NewVaultAsync(ParitySettings.None, content);
        string pack = Largest(hurt, "packs/");
        byte[] whole = hurt[pack];
        for (int length = whole.Length - 1; length > 64; length -= 997)
        {
            hurt[pack] = whole[..length];
            MemoryStore store = await StoreOfAsync(hurt);
            HashSet<(int, long)> before = await ReadableAsync(store, [content]);
            await RepairAsync(store);
            Assert.True(before.IsSubsetOf(await ReadableAsync(store, [content])), $"cut to {length}");
        }
    }

    [Fact]
    public async Task A_rehearsal_says_the_same_and_changes_nothing()
    {
        Random random = TestSeed.NewRandom();
        byte[] content = random.NextBytes(ChunkSize * 60);
        Dictionary<string, byte[]> hurt = await NewVaultAsync(s_parity, content);
        foreach (string name in hurt.Keys.Where(name => name.StartsWith("packs/", StringComparison.Ordinal)).ToList())
        {
            hurt[name].AsSpan(random.Next(hurt[name].Length - 3000), 3000).Clear();
        }

        hurt.Remove(Largest(hurt, "parity/"));
        GoodCopy copy = new("live", await DeviceOfAsync(content));
        MemoryStore store = await StoreOfAsync(hurt);
        RepairReport rehearsed;
        await using (BackupVault vault = await OpenAsync(store))
        {
            rehearsed = await vault.RepairAsync(new RepairOptions { DryRun = true, Copies = [copy] }, null, Token);
            Assert.False((await vault.VerifyAsync(null, VerifyLevel.Data, null, Token)).IsSound); // the vault can go on after a rehearsal
        }

        Dictionary<string, byte[]> after = await SnapshotAsync(store);
        Assert.Equal(hurt.Keys.Order(), after.Keys.Order());
        Assert.All(hurt, entry => Assert.Equal(entry.Value, after[entry.Key]));
        RepairReport real = await RepairAsync(store, copy);
        Assert.Equal(real.Healed.Select(healed => (healed.Pack, healed.Chunks)).Order(), rehearsed.Healed.Select(healed => (healed.Pack, healed.Chunks)).Order());
        Assert.Equal((real.ParityMade, real.IsSound), (rehearsed.ParityMade, rehearsed.IsSound));
    }

    [Fact]
    public async Task Repair_never_makes_anything_worse()
    {
        Random random = TestSeed.NewRandom();
        long before = 0;
        long after = 0;
        for (int round = 0; round < Rounds; round++)
        {
            byte[][] contents = [random.NextBytes(random.Next(1, ChunkSize * 12)), NewContent(random.Next(), random.Next(ChunkSize * 12, ChunkSize * 30))];
            ParitySettings parity = random.Next(4) == 0 ? ParitySettings.None : new ParitySettings(random.Next(1, 21), random.Next(1, 4), 4096);
            Dictionary<string, byte[]> objects = await NewVaultAsync(parity, contents);
            string[] names = [.. objects.Keys.Where(CanBeHurt)];
            for (int hurts = random.Next(1, 5); hurts > 0; hurts--)
            {
                string name = names[random.Next(names.Length)];
                if (objects.TryGetValue(name, out byte[]? present) && present.Length > 1)
                {
                    Hurt(random, objects, name);
                }
            }

            MemoryStore store = await StoreOfAsync(objects);
            HashSet<(int, long)> readable = await ReadableAsync(store, contents);
            GoodCopy[] copies = random.Next(2) == 0 ? [] : [new GoodCopy("live", await DeviceOfAsync(contents[random.Next(2)]))];
            await RepairAsync(store, copies);
            HashSet<(int, long)> healed = await ReadableAsync(store, contents);
            Assert.True(readable.IsSubsetOf(healed), $"round {round}: {readable.Except(healed).Count()} chunks were lost by a repair");
            (before, after) = (before + readable.Count, after + healed.Count);
        }

        TestContext.Current.SendDiagnosticMessage($"{Rounds} vaults: {before} chunks readable before, {after} after, 0 lost");
        Assert.True(after > before);
    }

    [Theory]
    [InlineData(Fault.Once)]
    [InlineData(Fault.Sticky)]
    [InlineData(Fault.LostAnswer)]
    public async Task Whatever_call_of_a_repair_fails_nothing_is_lost_and_the_next_repair_heals(Fault fault)
    {
        Random random = TestSeed.NewRandom();
        byte[] content = random.NextBytes(ChunkSize * 12);
        Dictionary<string, byte[]> hurt = await NewVaultAsync(s_parity, content);
        foreach (string name in hurt.Keys.Where(name => name.StartsWith("packs/", StringComparison.Ordinal)).ToList())
        {
            hurt[name].AsSpan(5000, 3000).Clear();
        }

        int before = (await ReadableAsync(await StoreOfAsync(hurt), [content])).Count;
        bool fired = true;
        for (int n = 1; fired; n++)
        {
            MemoryStore store = await StoreOfAsync(hurt);
            FaultyHealingStore faulty = new(store, n, fault);
            try
            {
                await RepairAsync(faulty);
            }
            catch (QuenchException)
            {
                // what is left is looked at below
            }

            fired = faulty.Fired;
            Assert.True((await ReadableAsync(store, [content])).Count >= before);
            await RepairAsync(store);
            Assert.True((await VerifyAsync(store)).IsSound, $"call {n}");
        }
    }

    [Fact]
    public async Task In_a_directory_the_damaged_file_is_set_aside_and_ignored()
    {
        using TemporaryDirectory directory = new();
        byte[] content = TestSeed.NewRandom().NextBytes(ChunkSize * 30);
        await using (BackupVault vault = await CreateAsync(new LocalDirectory(directory["vault"]), s_parity))
        {
            await BackupAsync(vault, content);
        }

        string file = new DirectoryInfo(Path.Combine(directory["vault"], "packs")).EnumerateFiles("*", SearchOption.AllDirectories).MaxBy(found => found.Length)!.FullName;
        byte[] sound = File.ReadAllBytes(file);
        byte[] damaged = [.. sound];
        damaged.AsSpan(50_000, 5000).Clear();
        File.WriteAllBytes(file, damaged);

        await using LocalDirectory store = new(directory["vault"]);
        RepairReport report = await RepairAsync(store);
        Assert.True(report.IsSound);
        Assert.Equal(sound, File.ReadAllBytes(file));
        string aside = Assert.Single(Directory.EnumerateFiles(Path.GetDirectoryName(file)!, ".aside-*"));
        Assert.Equal(damaged, File.ReadAllBytes(aside));
        Assert.Empty(Directory.EnumerateFiles(Path.GetDirectoryName(file)!, ".tmp-*"));
        VerifyReport verified = await VerifyAsync(store);
        Assert.True(verified.IsSound && verified.Foreign.Count == 0);

        // Whoever puts something beside it later, and sweeps what dead writers left, does not take it for that.
        await using LocalDirectory later = new(directory["vault"]);
        await later.PutAsync(Path.GetRelativePath(directory["vault"], Path.GetDirectoryName(file)!) + "/neighbour", sound, TestContext.Current.CancellationToken);
        Assert.Equal(damaged, File.ReadAllBytes(aside));
    }

    [Fact]
    public async Task A_pack_that_no_index_object_names_may_lack_its_parity_however_often_one_looks()
    {
        MemoryStore store = new();
        await using (BackupVault vault = await CreateAsync(store, s_parity))
        {
            await BackupAsync(vault, NewContent(1, ChunkSize * 8));
            HashSet<string> before = [.. (await SnapshotAsync(store)).Keys];
            await using (BackupSession dead = await vault.BeginAsync("host", Token))
            {
                await ImageAsync(vault, dead, NewContent(2, ChunkSize * 8), "disk");
                await dead.SettleAsync(Token);
            }

            // as if the power had gone right after the packs
            foreach (string name in (await SnapshotAsync(store)).Keys.Except(before).Where(name => !name.StartsWith("packs/", StringComparison.Ordinal)))
            {
                await store.DeleteAsync(name, Token);
            }
        }

        await using BackupVault later = await OpenAsync(store);
        for (int look = 1; look <= 2; look++) // the first look makes the pack known
        {
            Assert.Empty((await later.VerifyAsync(null, VerifyLevel.Data, null, Token)).Damage);
        }
    }

    private static bool CanBeHurt(string name) =>
        name.StartsWith("packs/", StringComparison.Ordinal) || name.StartsWith("parity/", StringComparison.Ordinal) || name.StartsWith("index/", StringComparison.Ordinal);

    private static string Largest(Dictionary<string, byte[]> objects, string prefix) =>
        objects.Where(entry => entry.Key.StartsWith(prefix, StringComparison.Ordinal)).MaxBy(entry => entry.Value.Length).Key;
}
