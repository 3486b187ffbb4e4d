using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using Quench.Vault;
using Quench.Vault.Format;
using Quench.Vault.Parity;
using Xunit;

namespace Quench.Tests.Vault.Parity;

/// <summary>
/// Packs and their parity objects, damaged at random: within the budget everything comes back, beyond it nothing wrong does. QUENCH_ERASURES
/// says how many packs are damaged; 100000 is the proof, a few thousand the default.
/// </summary>
public sealed class PackParityTests
{
    private static readonly Guid s_vault = Guid.Parse("00112233445566778899aabbccddeeff");
    private static readonly Guid s_pack = Guid.Parse("ffeeddccbbaa99887766554433221100");

    private static int Rounds { get; } =
        int.TryParse(Environment.GetEnvironmentVariable("QUENCH_ERASURES"), CultureInfo.InvariantCulture, out int rounds) ? rounds : 3000;

    [Fact]
    public void Whatever_sectors_and_bursts_are_lost_within_the_budget_the_pack_comes_back()
    {
        Random random = TestSeed.NewRandom();
        int healed = 0;
        for (int round = 0; round < Rounds; round++)
        {
            (byte[] pack, byte[] parity, ParityLayout layout) = NewPack(random);
            byte[] damaged = [.. pack];
            byte[] damagedParity = [.. parity];
            bool hurt = DamageWithinBudget(random, layout, damaged, damagedParity);
            HealResult result = Heal(damaged, damagedParity);
            Assert.True(hurt ? result.Condition == PackCondition.Healed : result.Condition == PackCondition.Whole, $"{layout}: {result}");
            Assert.True(pack.AsSpan().SequenceEqual(damaged), $"round {round}: {layout} healed wrongly");
            healed += hurt ? 1 : 0;
        }

        TestContext.Current.SendDiagnosticMessage($"{healed} packs of {Rounds} damaged within the budget and healed, 0 wrongly");
        Assert.True(healed > Rounds / 2);
    }

    [Fact]
    public void Beyond_the_budget_it_is_said_and_what_can_be_healed_is()
    {
        Random random = TestSeed.NewRandom();
        for (int round = 0; round < Rounds; round++)
        {
            (byte[] pack, byte[] parity, ParityLayout layout) = NewPack(random);
            byte[] damaged = [.. pack];
            int stripe = random.Next(layout.Stripes);
            int[] ofStripe = [.. Enumerable.Range(0, layout.DataShards).Where(shard => shard % layout.Stripes == stripe)];
            int[] lost = [.. ofStripe.OrderBy(_ => random.Next()).Take(layout.Settings.ParityShards + 1)];
            byte[] damagedParity = [.. parity];
            for (int row = 0; lost.Length + row <= layout.Settings.ParityShards; row++)
            {
                Spoil(random, ParityShard(damagedParity, layout, (row * layout.Stripes) + stripe)); // a short stripe has too few shards of its own
            }

            foreach (int shard in lost)
            {
                Spoil(random, damaged.AsSpan()[layout.DataRange(shard)]);
            }

            int other = random.Next(layout.DataShards);
            bool otherStripe = other % layout.Stripes != stripe;
            if (otherStripe)
            {
                Spoil(random, damaged.AsSpan()[layout.DataRange(other)]);
            }

            HealResult result = Heal(damaged, damagedParity);
            Assert.Equal(PackCondition.BeyondParity, result.Condition);
            Assert.Equal(1, result.LostStripes);
            Assert.False(pack.AsSpan().SequenceEqual(damaged));
            Assert.True(!otherStripe || pack.AsSpan()[layout.DataRange(other)].SequenceEqual(damaged.AsSpan()[layout.DataRange(other)]));
        }
    }

    [Fact]
    public void A_check_that_lies_is_found_by_the_hash()
    {
        Random random = TestSeed.NewRandom();
        for (int round = 0; round < Math.Min(Rounds, 500); round++)
        {
            (byte[] pack, byte[] parity, ParityLayout layout) = NewPack(random);
            byte[] damaged = [.. pack];
            int shard = random.Next(layout.DataShards);
            Span<byte> bytes = damaged.AsSpan()[layout.DataRange(shard)];
            Spoil(random, bytes);
            int headerSize = ParityHeader.SizeOf(layout.DataShards + layout.ParityShards);
            Span<byte> header = parity.AsSpan(0, headerSize);
            ParityHeader.WriteCheck(header, shard, ShardCheck.Of(bytes));
            ParityHeader.Seal(header); // a thorough liar
            Assert.Equal(PackCondition.Contradiction, Heal(damaged, parity).Condition);
            Assert.False(PackParity.IsSound(parity, s_vault, s_pack, damaged));
        }
    }

    [Fact]
    public void Either_header_will_do_and_a_cut_object_heals_with_what_is_left()
    {
        Random random = TestSeed.NewRandom();
        byte[] pack = random.NextBytes(300_000);
        ParitySettings settings = new(20, 2, 4096);
        byte[] parity = NewParity(pack, settings);
        byte[] damaged = [.. pack];
        Spoil(random, damaged.AsSpan(5000, 9000));

        byte[] headless = [.. parity];
        headless[random.Next(4096)] ^= 1;
        byte[] healed = [.. damaged];
        Assert.Equal(PackCondition.Healed, Heal(healed, headless).Condition);
        Assert.Equal(pack, healed);

        byte[] cut = parity[..^9000]; // the last header and more than a shard
        healed = [.. damaged];
        Assert.Equal(PackCondition.Healed, Heal(healed, cut).Condition);
        Assert.Equal(pack, healed);

        headless[^1] ^= 1;
        Assert.False(PackParity.TryReadHeader(headless, s_vault, s_pack, out _, out _));
        Assert.False(PackParity.TryReadHeader(parity, s_pack, s_pack, out _, out _));
        Assert.False(PackParity.TryReadHeader(parity, s_vault, s_vault, out _, out _));
    }

    [Fact]
    public void Every_flipped_bit_of_a_parity_object_is_found()
    {
        Random random = TestSeed.NewRandom();
        byte[] pack = random.NextBytes(20_000);
        byte[] parity = NewParity(pack, new ParitySettings(3, 1, 4096));
        Assert.True(PackParity.IsSound(parity, s_vault, s_pack, pack));
        for (int bit = random.Next(7); bit < parity.Length * 8; bit += 7)
        {
            parity[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.False(PackParity.IsSound(parity, s_vault, s_pack, pack), $"bit {bit}");
            parity[bit / 8] ^= (byte)(1 << (bit % 8));
        }

        Assert.False(PackParity.IsSound([.. parity, 0], s_vault, s_pack, pack));
        Assert.False(PackParity.IsSound(parity.AsSpan(0, parity.Length - 1), s_vault, s_pack, pack));
        pack[17] ^= 1;
        Assert.False(PackParity.IsSound(parity, s_vault, s_pack, pack));
    }

    [Fact]
    public void Any_bytes_at_all_are_no_parity_object_and_nothing_worse()
    {
        Random random = TestSeed.NewRandom();
        for (int round = 0; round < 2000; round++)
        {
            byte[] bytes = random.NextBytes(random.Next(3 * 4096));
            "QNCHPRTY"u8[..Math.Min(8, bytes.Length)].CopyTo(bytes);
            if (bytes.Length > 10)
            {
                (bytes[8], bytes[9]) = (1, 0);
            }

            Assert.False(PackParity.TryReadHeader(bytes, s_vault, s_pack, out _, out _));
        }
    }

    [Fact]
    [Trait("Kind", "Probe")]
    public void What_parity_costs()
    {
        byte[] pack = new Random(1).NextBytes(16 << 20);
        ParitySettings settings = ParitySettings.Default;
        ReedSolomon code = new(settings.DataShards, settings.ParityShards);
        byte[] parity = new byte[PackParity.SizeOf(pack.Length, settings)];
        byte[] shards = new byte[22 * 4096];
        Tell("write a parity object", Rate(pack.Length, () => PackParity.Write(parity, pack, s_vault, s_pack, code, settings)));
        Tell("of that SHA-256", Rate(pack.Length, () => SHA256.HashData(pack, parity.AsSpan(0, 32))));
        Tell("of that checks", Rate(pack.Length, () => Check(pack)));
        Tell("encode stripes in the cache", Rate(20 * 4096 * 100, () => Repeat(100, () => code.Encode(shards.AsSpan(0, 20 * 4096), shards.AsSpan(20 * 4096), 4096))));
        Tell("repair two lost shards", Rate(20 * 4096 * 100, () => Repeat(100, () => code.TryRepair(shards, 4096, [3, 11]))));
        PackParity.Write(parity, pack, s_vault, s_pack, code, settings);
        Tell("heal a pack with a burst of 1 MiB", Rate(pack.Length, () =>
        {
            pack.AsSpan(3 << 20, 1 << 20).Fill(7);
            Assert.Equal(PackCondition.Healed, Heal(pack, parity).Condition);
        }));
    }

    private static void Check(byte[] pack)
    {
        for (int at = 0; at < pack.Length; at += 4096)
        {
            _ = ShardCheck.Of(pack.AsSpan(at, 4096));
        }
    }

    private static void Repeat(int count, Action action)
    {
        for (int i = 0; i < count; i++)
        {
            action();
        }
    }

    private static double Rate(long bytes, Action action)
    {
        action();
        action();
        Stopwatch watch = Stopwatch.StartNew();
        int count = 0;
        for (; watch.Elapsed < TimeSpan.FromSeconds(0.5); count++)
        {
            action();
        }

        return bytes * (double)count / (1 << 30) / watch.Elapsed.TotalSeconds;
    }

    private static void Tell(string what, double rate)
    {
        string figure = string.Create(CultureInfo.InvariantCulture, $"{what}: {rate:0.00} GiB/s, one core");
        TestContext.Current.SendDiagnosticMessage(figure);
        TestContext.Current.TestOutputHelper?.WriteLine(figure);
    }

    private static (byte[] Pack, byte[] Parity, ParityLayout Layout) NewPack(Random random)
    {
        int k = random.Next(1, 9);
        ParitySettings settings = new(k, random.Next(1, 5), 4096);
        byte[] pack = random.NextBytes(random.Next(1, 24 * 4096));
        return (pack, NewParity(pack, settings), new ParityLayout(pack.Length, settings));
    }

    private static byte[] NewParity(byte[] pack, ParitySettings settings)
    {
        byte[] parity = new byte[PackParity.SizeOf(pack.Length, settings)];
        PackParity.Write(parity, pack, s_vault, s_pack, new ReedSolomon(settings.DataShards, settings.ParityShards), settings);
        return parity;
    }

    /// <summary>A burst, or sectors here and there, in pack and parity, never more than m shards of a stripe.</summary>
    private static bool DamageWithinBudget(Random random, ParityLayout layout, byte[] pack, byte[] parity)
    {
        int[] left = [.. Enumerable.Repeat(layout.Settings.ParityShards, layout.Stripes)];
        HashSet<int> spoiled = []; // a shard spoiled twice might be as it was
        bool hurt = false;
        bool burst = random.Next(2) == 0;
        int tries = burst ? layout.ParityShards : random.Next(1, layout.DataShards + 2);
        int start = random.Next(layout.DataShards);
        for (int i = 0; i < tries; i++)
        {
            int shard = burst ? start + i : random.Next(layout.DataShards + layout.ParityShards);
            bool isData = shard < layout.DataShards;
            if (burst && !isData)
            {
                break;
            }

            int stripe = isData ? shard % layout.Stripes : (shard - layout.DataShards) % layout.Stripes;
            if (spoiled.Add(shard) && left[stripe]-- > 0)
            {
                Spoil(random, isData ? pack.AsSpan()[layout.DataRange(shard)] : ParityShard(parity, layout, shard - layout.DataShards));
                hurt |= isData;
            }
        }

        return hurt;
    }

    private static Span<byte> ParityShard(byte[] parity, ParityLayout layout, int shard) =>
        parity.AsSpan(ParityHeader.SizeOf(layout.DataShards + layout.ParityShards) + (shard * layout.Settings.ShardSize), layout.Settings.ShardSize);

    /// <summary>Changes bytes, one bit or all, and certainly one.</summary>
    private static void Spoil(Random random, Span<byte> bytes)
    {
        switch (random.Next(3))
        {
            case 0:
                bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
                break;
            case 1:
                byte first = bytes[0];
                bytes.Fill(first == 0 ? (byte)1 : (byte)0);
                break;
            default:
                byte old = bytes[0];
                random.NextBytes(bytes);
                bytes[0] = (byte)(old ^ 0x55);
                break;
        }
    }

    private static HealResult Heal(byte[] pack, byte[] parity)
    {
        Assert.True(PackParity.TryReadHeader(parity, s_vault, s_pack, out ParityHeader header, out ParityLayout layout));
        return PackParity.Heal(pack, parity, header, layout);
    }
}
