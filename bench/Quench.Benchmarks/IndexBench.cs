using System.Diagnostics;
using System.Globalization;
using System.Text;
using Quench.Interop.Linux;
using Quench.Vault;
using Quench.Vault.Format;
using Quench.Vault.Index;
using Quench.Vault.Keys;
using Quench.Vault.Packs;
using Quench.Vault.Stores;

namespace Quench.Benchmarks;

/// <summary>
/// The index of a vault of so many chunks that nobody waits for them to be stored: real index objects, sealed, over packs that are holes. Each verb is a process
/// of its own, so that its peak of memory is its own.
/// </summary>
internal sealed class IndexBench(string folder, int chunks)
{
    private const int ChunksPerPack = 255;
    private const int SealedLength = 65536 + 28;
    private const int PackLength = 16 * 1024 * 1024;
    private const int PacksPerObject = 256;
    private const int Lookups = 2_000_000;
    private static readonly byte[] s_password = Encoding.UTF8.GetBytes("bench");
    private static readonly KdfCost s_cheap = new(64, 1, 1);
    private static readonly ChunkMeta s_meta = new(ChunkMeta.DataType, 65536, false);

    private string Vault => Path.Combine(folder, "vault");

    private string Cache => Path.Combine(folder, "cache");

    /// <summary>Makes the vault.</summary>
    internal async Task MakeAsync()
    {
        LocalDirectory store = await CreateAsync(Vault);
        using VaultKeys keys = (await VaultOpening.OpenAsync(store, s_password, CancellationToken.None)).Keys;
        SessionKey session = keys.NewSession(BackupSession.NewId());
        Directory.CreateDirectory(Path.Combine(Vault, "index"));
        for (int first = 0; first < chunks; first += PacksPerObject * ChunksPerPack)
        {
            int count = Math.Min(PacksPerObject * ChunksPerPack, chunks - first);
            string name = ObjectNames.Index(BackupSession.NewId());
            byte[] body = Body(session, Salt.Stored, first, count, NewPack);
            await File.WriteAllBytesAsync(Path.Combine(Vault, name), keys.SealEnvelope(EnvelopeKind.Index, name, body));
        }
    }

    /// <summary>Opens the index and asks it.</summary>
    internal async Task OpenAsync()
    {
        LocalDirectory store = new(Vault);
        using VaultKeys keys = (await VaultOpening.OpenAsync(store, s_password, CancellationToken.None)).Keys;
        Tell("before");
        using VaultIndex index = new(store, keys, Cache, IndexLimits.Default);
        Stopwatch watch = Stopwatch.StartNew();
        ChunkIndex known = await index.RefreshAsync(CancellationToken.None);
        Tell($"open: {watch.Elapsed.TotalSeconds:0.00} s, {known.Count} chunks, {index.LastRead} index objects read, {known.Runs.Count} runs, {known.InMemory} records in memory");
        Ask(known, Salt.Stored, true, 1);
        Ask(known, Salt.Stored, true, 2);
        Ask(known, Salt.Absent, false, 1);
        Ask(known, Salt.Absent, false, 2);
        Tell("after the lookups");
        foreach (string warning in index.Warnings)
        {
            Console.WriteLine($"warning: {warning}");
        }
    }

    /// <summary>What a session does that stores as many new chunks, into an empty vault: ask, claim, add, and take in each index object.</summary>
    internal async Task InsertAsync()
    {
        LocalDirectory store = await CreateAsync(Path.Combine(folder, "empty"));
        using VaultKeys keys = (await VaultOpening.OpenAsync(store, s_password, CancellationToken.None)).Keys;
        SessionKey session = keys.NewSession(BackupSession.NewId());
        using VaultIndex index = new(store, keys, Path.Combine(folder, "empty-cache"), IndexLimits.Default);
        ChunkIndex known = await index.RefreshAsync(CancellationToken.None);
        ClaimTable claims = new();
        TimeSpan slowest = TimeSpan.Zero;
        Stopwatch watch = Stopwatch.StartNew();
        for (int first = 0; first < chunks; first += PacksPerObject * ChunksPerPack)
        {
            int count = Math.Min(PacksPerObject * ChunksPerPack, chunks - first);
            Claim(known, claims, first, count);
            string name = ObjectNames.Index(BackupSession.NewId());
            byte[] body = Body(session, Salt.Inserted, first, count, (_, id) => id);
            await store.PutAsync(name, keys.SealEnvelope(EnvelopeKind.Index, name, body), CancellationToken.None);
            Stopwatch taking = Stopwatch.StartNew();
            await index.TakeOwnAsync(known, name, body, session, CancellationToken.None);
            slowest = taking.Elapsed > slowest ? taking.Elapsed : slowest;
            Release(claims, first, count);
        }

        double seconds = watch.Elapsed.TotalSeconds;
        Tell($"insert: {seconds:0.0} s, {chunks / seconds / 1000:0} k/s with sealing and putting the index objects; the slowest object took {slowest.TotalSeconds:0.0} s; {known.Runs.Count} runs");
        Ask(known, Salt.Inserted, true, 1);
        Ask(known, Salt.Absent, false, 1);
    }

    private static async Task<LocalDirectory> CreateAsync(string path)
    {
        LocalDirectory store = new(path);
        CreatedVault created = await BackupVault.CreateAsync(
            store, new VaultSettings { Kdf = s_cheap }, s_password, TimeProvider.System, s_cheap, CancellationToken.None);
        await created.Vault.DisposeAsync();
        return new LocalDirectory(path);
    }

    private static void Claim(ChunkIndex known, ClaimTable claims, int first, int count)
    {
        for (int i = first; i < first + count; i++)
        {
            ChunkId id = IdOf(Salt.Inserted, i);
            if (known.CanRelyOn(id) || !claims.TryClaim(id) || known.CanRelyOn(id) || !claims.TryFulfil(id))
            {
                throw new InvalidOperationException($"chunk {i} was known before it was stored");
            }
        }
    }

    private static void Release(ClaimTable claims, int first, int count)
    {
        for (int i = first; i < first + count; i++)
        {
            claims.Release(IdOf(Salt.Inserted, i));
        }
    }

    private static byte[] Body(SessionKey session, Salt salt, int first, int count, Func<int, Guid, Guid> packMade)
    {
        int packs = (count + ChunksPerPack - 1) / ChunksPerPack;
        IndexBodyBuilder body = new(session, packs, count, 0);
        for (int pack = 0; pack < packs; pack++)
        {
            PackEntry[] entries = new PackEntry[Math.Min(ChunksPerPack, count - (pack * ChunksPerPack))];
            for (int i = 0; i < entries.Length; i++)
            {
                entries[i] = new PackEntry(IdOf(salt, first + (pack * ChunksPerPack) + i), PackHeader.Size + (i * SealedLength), SealedLength, s_meta);
            }

            body.Add(packMade(pack, BackupSession.NewId()), PackLength, entries);
        }

        return body.Bytes;
    }

    /// <summary>A pack that is there, with its length, and holds nothing.</summary>
    private Guid NewPack(int number, Guid id)
    {
        string path = Path.Combine(Vault, ObjectNames.Pack(id));
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        using Microsoft.Win32.SafeHandles.SafeFileHandle file = NativeFile.Open(path, OpenMode.ReadWrite | OpenMode.Create | OpenMode.Exclusive);
        NativeFile.SetLength(file, PackLength);
        return id;
    }

    private void Ask(ChunkIndex known, Salt salt, bool present, int threads)
    {
        Stopwatch watch = Stopwatch.StartNew();
        Parallel.For(0, threads, new ParallelOptions { MaxDegreeOfParallelism = threads }, thread => AskMany(known, salt, present, thread + 1));
        double seconds = watch.Elapsed.TotalSeconds;
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{(present ? "present" : "absent")} ids, {threads} threads: {Lookups / seconds * threads / 1000:0} k lookups/s in all"));
    }

    private void AskMany(ChunkIndex known, Salt salt, bool present, int seed)
    {
        Random random = new(seed);
        for (int i = 0; i < Lookups; i++)
        {
            if (known.TryFind(IdOf(salt, random.Next(chunks)), out _, out _) != present)
            {
                throw new InvalidOperationException($"an id is {(present ? "absent" : "present")} and should not be");
            }
        }
    }

    private static void Tell(string what)
    {
        string[] memory = [.. File.ReadLines("/proc/self/status").Where(line => line.StartsWith("VmHWM", StringComparison.Ordinal) || line.StartsWith("VmRSS", StringComparison.Ordinal))];
        string peak = string.Join(", ", memory.Select(line => string.Join(' ', line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries))));
        Console.WriteLine($"{what}; {peak}, managed heap {GC.GetTotalMemory(forceFullCollection: true) / 1048576} MiB");
    }

    /// <summary>The id of a number: four words that are as good as random (splitmix64, Steele, Lea, Flood).</summary>
    private static ChunkId IdOf(Salt salt, int number)
    {
        Span<byte> id = stackalloc byte[ChunkId.Size];
        for (int word = 0; word < 4; word++)
        {
            ulong z = unchecked(((((ulong)salt << 34) | ((ulong)number << 2) | (uint)word) + 1) * 0x9E3779B97F4A7C15);
            z = unchecked((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9);
            z = unchecked((z ^ (z >> 27)) * 0x94D049BB133111EB);
            System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(id[(word * 8)..], z ^ (z >> 31));
        }

        return ChunkId.From(id);
    }

    private enum Salt
    {
        Stored = 1,
        Inserted = 2,
        Absent = 3,
    }
}
