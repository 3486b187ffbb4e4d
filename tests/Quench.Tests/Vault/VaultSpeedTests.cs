using Quench.Vault;
using Quench.Vault.Stores;
using Xunit;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Vault;

/// <summary>What a chunk costs. The figures are printed; in Debug builds only the allocations are asserted.</summary>
public sealed class VaultSpeedTests
{
    private const int Size = 64 * 1024;

    [Fact]
    public async Task The_steady_state_allocates_only_what_the_platforms_cipher_needs()
    {
        await using BackupVault vault = await CreateAsync(new MemoryStore(), Size);
        await using BackupSession session = await vault.BeginAsync("host", Token);
        using ChunkSealer sealer = session.NewSealer();
        byte[] chunk = NewChunk();
        const int Warm = 40;
        const int Count = 200;
        const int OpenPacks = 4;                 // which of them a chunk goes to depends on its id
        const int MostDoublings = OpenPacks * 6; // of a pack's list of what it holds, from 4 to 256
        long[] costs = new long[Warm + Count];
        for (int i = 0; i < costs.Length; i++)
        {
            long begun = GC.GetAllocatedBytesForCurrentThread();
            Add(session, sealer, chunk, i);
            costs[i] = GC.GetAllocatedBytesForCurrentThread() - begun;
        }

        long[] steady = [.. costs[Warm..].Order()];
        TestContext.Current.SendDiagnosticMessage($"{steady[Count / 2]} bytes allocated for each new chunk (AesGcm for one key: object and handle), at most {steady[^1]} where a pack's list doubles");
        Assert.InRange(steady[Count - 1 - MostDoublings], 0, 96);
        Assert.InRange(steady[^1], 0, 16 * 1024); // no buffer

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < Count; i++)
        {
            ChunkId id = session.Identify(chunk);
            session.TryClaim(id);
        }

        double each = (GC.GetAllocatedBytesForCurrentThread() - before) / (double)Count;
        TestContext.Current.SendDiagnosticMessage($"{each:0} bytes allocated for each known chunk");
        Assert.Equal(0, each);
    }

    [Fact]
    public async Task Identify_and_seal_keep_up()
    {
#if DEBUG
        Assert.Skip("figures of a Debug build say nothing; run the Release build");
        await Task.CompletedTask;
#else
        await using BackupVault vault = await CreateAsync(new MemoryStore(), Size);
        await using BackupSession session = await vault.BeginAsync("host", Token);
        using ChunkSealer sealer = session.NewSealer();
        byte[] text = NewChunk();
        byte[] noise = new byte[Size];
        new Random(1).NextBytes(noise);
        for (int round = 0; round < 3; round++)
        {
            double identify = Rate(() => session.Identify(text));
            ChunkId id = session.Identify(text);
            ChunkId noiseId = session.Identify(noise);
            double seal = Rate(() => sealer.Seal(id, text).Dispose());
            double raw = Rate(() => sealer.Seal(noiseId, noise).Dispose());
            double both = Rate(() => sealer.Seal(session.Identify(text), text).Dispose());
            using SealedChunk one = sealer.Seal(id, text);
            string figures = $"identify {identify:0} MB/s, seal {seal:0} (compressible to {one.SealedLength * 100 / Size} %), incompressible {raw:0}, identify and seal {both:0}";
            TestContext.Current.SendDiagnosticMessage(figures);
            TestContext.Current.TestOutputHelper?.WriteLine(figures);
            Assert.True(both > 100, figures);
        }

        await WholeAsync();
#endif
    }

#if !DEBUG
    private static async Task WholeAsync()
    {
        await using BackupVault vault = await CreateAsync(new MemoryStore(), Size);
        await using BackupSession session = await vault.BeginAsync("host", Token);
        using ChunkSealer sealer = session.NewSealer();
        byte[] chunk = NewChunk();
        const int Count = 6000;
        System.Diagnostics.Stopwatch watch = System.Diagnostics.Stopwatch.StartNew();
        for (int i = 0; i < Count; i++)
        {
            Unique(chunk, i);
            ChunkId id = session.Identify(chunk);
            session.TryClaim(id);
            await session.AddAsync(sealer.Seal(id, chunk), Token);
        }

        await session.CommitAsync(new PointDraft { Host = "h", Instant = default, Volumes = [] }, Token);
        string figures = $"one lane, packs verified in the background: {Count * (double)Size / 1e6 / watch.Elapsed.TotalSeconds:0} MB/s";
        TestContext.Current.SendDiagnosticMessage(figures);
        TestContext.Current.TestOutputHelper?.WriteLine(figures);
        watch.Restart();
        VerifyReport report = await vault.VerifyAsync(null, VerifyLevel.Data, null, Token);
        figures = $"verify, all cores: {report.ReadBytes / 1e6 / watch.Elapsed.TotalSeconds:0} MB/s";
        TestContext.Current.SendDiagnosticMessage(figures);
        TestContext.Current.TestOutputHelper?.WriteLine(figures);
        Assert.True(report.IsSound);
    }

    private static double Rate(Action action)
    {
        const int Count = 2000;
        System.Diagnostics.Stopwatch watch = System.Diagnostics.Stopwatch.StartNew();
        for (int i = 0; i < Count; i++)
        {
            action();
        }

        return Count * (double)Size / 1e6 / watch.Elapsed.TotalSeconds;
    }
#endif

    private static void Add(BackupSession session, ChunkSealer sealer, byte[] chunk, int number)
    {
        Unique(chunk, number);
        ChunkId id = session.Identify(chunk);
        Assert.True(session.TryClaim(id));
        ValueTask adding = session.AddAsync(sealer.Seal(id, chunk), Token);
        Assert.True(adding.IsCompletedSuccessfully);
    }

    private static void Unique(byte[] chunk, int number) => System.Buffers.Binary.BinaryPrimitives.WriteInt32LittleEndian(chunk, number);

    /// <summary>Text-like: words of a small vocabulary, so that it compresses to somewhat less than half.</summary>
    private static byte[] NewChunk()
    {
        Random random = new(2);
        byte[][] words = new byte[2000][];
        for (int i = 0; i < words.Length; i++)
        {
            words[i] = new byte[random.Next(3, 11)];
            random.NextBytes(words[i]);
        }

        byte[] chunk = new byte[Size];
        for (int at = 0; at < Size;)
        {
            byte[] word = words[(int)(words.Length * Math.Pow(random.NextDouble(), 2))];
            int count = Math.Min(word.Length, Size - at);
            word.AsSpan(0, count).CopyTo(chunk.AsSpan(at));
            at += count;
        }

        return chunk;
    }
}
