using Quench.Vault;
using Quench.Vault.Format;
using Quench.Vault.Index;
using Xunit;

namespace Quench.Tests.Vault.Index;

/// <summary>What every chunk index owes, held against a dictionary. Whoever writes another index passes this.</summary>
public abstract class ChunkIndexConformance
{
    private const int Packs = 40;
    private static readonly int s_operations = int.Parse(Environment.GetEnvironmentVariable("QUENCH_ROUNDS") ?? "20", System.Globalization.CultureInfo.InvariantCulture) * 1000;

    private protected abstract ChunkIndex NewIndex();

    [Fact]
    public void It_agrees_with_a_dictionary_after_every_operation()
    {
        Random random = TestSeed.NewRandom();
        using ChunkIndex index = NewIndex();
        IndexedPack[] packs = NewPacks(index, random);
        Dictionary<ChunkId, Known> model = [];
        List<ChunkId> ids = [];
        for (int i = 0; i < s_operations; i++)
        {
            switch (random.Next(20))
            {
                case < 12:
                    Add(index, model, ids, packs, random);
                    break;
                case < 18 when ids.Count > 0:
                    Check(index, model, ids[random.Next(ids.Count)]);
                    break;
                case 18 when random.Next(20) == 0:
                    packs[random.Next(Packs)].IsPresent ^= true;
                    break;
                case 19 when random.Next(200) == 0:
                    index.TrySpill();
                    break;
                default:
                    Check(index, model, NewId(random));
                    break;
            }
        }

        Assert.Equal(model.Count, index.Count);
        Assert.All(ids, id => Check(index, model, id));
        Assert.Equal(Enumerable.Range(0, model.Count), model.Values.Select(known => known.Ordinal).Order());
    }

    [Fact]
    public async Task Whoever_asks_while_it_grows_finds_all_that_was_there_before()
    {
        Random random = TestSeed.NewRandom();
        using ChunkIndex index = NewIndex();
        IndexedPack[] packs = NewPacks(index, random);
        ChunkId[] ids = [.. Enumerable.Range(0, s_operations).Select(_ => ChunkId.From(random.NextBytes(ChunkId.Size)))];
        int[] seeds = [random.Next(), random.Next()];
        int added = 0;
        long asked = 0;
        Task[] readers = [.. seeds.Select(seed => Task.Run(() =>
        {
            Random own = new(seed);
            int sure;
            do
            {
                sure = Volatile.Read(ref added);
                int number = own.Next(Math.Max(1, sure));
                bool found = index.TryFind(ids[number], out ChunkPlace place, out int ordinal);
                Assert.True(found || number >= sure, $"chunk {number} of {sure} is not found");
                Assert.True(!found || (ordinal == number && place.Offset == 64 + number && ReferenceEquals(place.Pack, packs[number % Packs])));
                Interlocked.Increment(ref asked);
            }
            while (sure < ids.Length);
        }))];
        for (int i = 0; i < ids.Length; i++)
        {
            index.Add(ids[i], i % Packs, 64 + i, 100, new ChunkMeta(0, 1, false));
            Volatile.Write(ref added, i + 1);
        }

        await Task.WhenAll(readers);
        Assert.True(Interlocked.Read(ref asked) > 0);
    }

    /// <summary>Ids as they are in a vault, and now and then one that shares a beginning with all its like.</summary>
    private static ChunkId NewId(Random random)
    {
        byte[] id = random.NextBytes(ChunkId.Size);
        int shared = random.Next(10) switch
        {
            0 => 8,
            1 => 31,
            _ => 0,
        };
        id.AsSpan(0, shared).Fill(0x77);
        return ChunkId.From(id);
    }

    private static IndexedPack[] NewPacks(ChunkIndex index, Random random)
    {
        IndexedPack[] packs = [.. Enumerable.Range(0, Packs).Select(number => new IndexedPack(new Guid(random.NextBytes(16)), 1000 + number, null!))];
        for (int i = 0; i < Packs; i++)
        {
            Assert.Equal(i, index.AddPack(packs[i], isNamed: true));
        }

        return packs;
    }

    private static void Add(ChunkIndex index, Dictionary<ChunkId, Known> model, List<ChunkId> ids, IndexedPack[] packs, Random random)
    {
        ChunkId id = ids.Count > 0 && random.Next(4) == 0 ? ids[random.Next(ids.Count)] : NewId(random);
        Known added = new(random.Next(Packs), random.Next(64, 1 << 30), random.Next(29, 1 << 22), (uint)random.Next(), model.Count);
        index.Add(id, added.Pack, added.Offset, added.SealedLength, new ChunkMeta(added.Meta));
        if (!model.TryGetValue(id, out Known? known))
        {
            ids.Add(id);
            model.Add(id, added);
        }
        else if (Worth(packs[added.Pack]) > Worth(packs[known.Pack]))
        {
            model[id] = added with { Ordinal = known.Ordinal };
        }

        Check(index, model, id);
    }

    /// <summary>A place to rely on is better than one that can be read, and that better than one that is gone.</summary>
    private static int Worth(IndexedPack pack) => !pack.IsPresent ? 0 : pack.IsCondemned ? 1 : 2;

    private static void Check(ChunkIndex index, Dictionary<ChunkId, Known> model, ChunkId id)
    {
        bool found = index.TryFind(id, out ChunkPlace place, out int ordinal);
        Assert.Equal(model.TryGetValue(id, out Known? known), found);
        if (found)
        {
            Assert.Equal((known!.Pack + 1000L, known.Offset, known.SealedLength, known.Meta, known.Ordinal), (place.Pack.Length, place.Offset, place.SealedLength, place.Meta.Bits, ordinal));
            Assert.Equal(place.Pack.CanBeReliedOn, index.CanRelyOn(id));
        }
        else
        {
            Assert.False(index.CanRelyOn(id));
        }
    }

    private sealed record Known(int Pack, int Offset, int SealedLength, uint Meta, int Ordinal);
}
