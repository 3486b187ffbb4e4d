using Quench.Vault;
using Quench.Vault.Format;
using Quench.Vault.Index;
using Quench.Vault.Keys;
using Quench.Vault.Packs;
using Quench.Vault.Stores;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Vault.Index;

/// <summary>A vault with real index objects over packs of which only the length is real, and limits so low that its index goes to disk.</summary>
internal sealed class IndexLab : IDisposable
{
    internal static readonly IndexLimits Low = new(InMemory: 400, Tail: 150, Remainder: 20, Runs: 3);
    private const int ChunksPerPack = 10;
    private const int SealedLength = 100;
    private const int PackLength = PackHeader.Size + (ChunksPerPack * SealedLength);
    private readonly Random _random;

    private IndexLab(MemoryStore store, VaultKeys keys, Random random)
    {
        Store = store;
        Keys = keys;
        _random = random;
    }

    internal MemoryStore Store { get; }

    internal VaultKeys Keys { get; }

    internal TemporaryDirectory Folder { get; } = new();

    internal string Cache => Folder["cache"];

    /// <summary>Every chunk that an index object names, and one of the packs that have it.</summary>
    internal Dictionary<ChunkId, Guid> Chunks { get; } = [];

    internal static async Task<IndexLab> CreateAsync(Random random, int chunks)
    {
        MemoryStore store = new();
        await using (await VaultLab.CreateAsync(store))
        {
        }

        IndexLab lab = new(store, (await VaultOpening.OpenAsync(store, Password, Token)).Keys, random);
        while (lab.Chunks.Count < chunks)
        {
            await lab.AddObjectAsync(packs: random.Next(1, 10));
        }

        return lab;
    }

    internal VaultIndex NewIndex(IndexLimits? limits = null) => new(Store, Keys, Cache, limits ?? Low);

    /// <summary>A chunk's id.</summary>
    internal ChunkId NewId() => ChunkId.From(_random.NextBytes(ChunkId.Size));

    /// <summary>Puts packs and an index object that names them.</summary>
    internal async Task<string> AddObjectAsync(int packs, IReadOnlyList<ChunkId>? ids = null)
    {
        SessionKey session = Keys.NewSession(BackupSession.NewId());
        (string name, byte[] body) = await NewObjectAsync(session, packs, ids);
        await Store.PutAsync(name, Keys.SealEnvelope(EnvelopeKind.Index, name, body), Token);
        return name;
    }

    /// <summary>Puts packs; the object is the caller's to put.</summary>
    internal async Task<(string Name, byte[] Body)> NewObjectAsync(SessionKey session, int packs, IReadOnlyList<ChunkId>? ids = null)
    {
        IndexBodyBuilder body = new(session, packs, packs * ChunksPerPack, 0);
        for (int pack = 0; pack < packs; pack++)
        {
            Guid id = BackupSession.NewId();
            PackEntry[] entries = new PackEntry[ChunksPerPack];
            for (int i = 0; i < ChunksPerPack; i++)
            {
                ChunkId chunk = ids is null ? NewId() : ids[(pack * ChunksPerPack) + i];
                entries[i] = new PackEntry(chunk, PackHeader.Size + (i * SealedLength), SealedLength, new ChunkMeta(0, 1, false));
                Chunks[chunk] = id;
            }

            await Store.PutAsync(ObjectNames.Pack(id), new byte[PackLength], Token);
            body.Add(id, PackLength, entries);
        }

        return (ObjectNames.Index(BackupSession.NewId()), body.Bytes);
    }

    internal async Task CondemnAsync(long generation, params Guid[] packs)
    {
        string name = ObjectNames.Condemned(generation);
        await Store.PutAsync(name, Keys.SealEnvelope(EnvelopeKind.Condemned, name, PackListBody.Write(generation, packs)), Token);
    }

    /// <summary>What is wrong with an index's answers; null when all are right.</summary>
    internal async Task<string?> WrongAsync(VaultIndex index)
    {
        ChunkIndex chunks = await index.RefreshAsync(Token);
        HashSet<int> ordinals = [];
        foreach ((ChunkId id, Guid pack) in Chunks)
        {
            // As a reader asks: it looks further when the cache can't tell.
            if (await index.FindAsync(id, Token) is not { } place || place.Pack.Id != pack)
            {
                return $"chunk {id} is not found in {pack}";
            }
        }

        chunks = index.Chunks; // it may be another by now
        foreach (ChunkId id in Chunks.Keys)
        {
            if (!chunks.TryFind(id, out ChunkPlace place, out int ordinal) || !ordinals.Add(ordinal) || ordinal >= chunks.Count || place.SealedLength != SealedLength)
            {
                return $"chunk {id} has no number of its own";
            }
        }

        for (int i = 0; i < 300; i++)
        {
            if (chunks.TryFind(NewId(), out _, out _))
            {
                return "a chunk is found that nobody has stored";
            }
        }

        return chunks.Count == Chunks.Count ? null : $"the index counts {chunks.Count} chunks of {Chunks.Count}";
    }

    public void Dispose()
    {
        Keys.Dispose();
        Folder.Dispose();
    }
}
