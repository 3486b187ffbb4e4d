using System.Text;
using Quench.Blocks;
using Quench.Blocks.Buffers;
using Quench.Vault;
using Quench.Vault.Stores;
using Xunit;

namespace Quench.Tests.Vault;

/// <summary>What most tests of the vault need: a quick vault, images with known content, and a way to hold what comes back against it.</summary>
internal static class VaultLab
{
    internal const int ChunkSize = 16 * 1024;
    internal static readonly byte[] Password = Encoding.UTF8.GetBytes("correct horse");
    internal static readonly KdfCost Cheap = new(64, 1, 1);

    internal static CancellationToken Token => TestContext.Current.CancellationToken;

    internal static async Task<BackupVault> CreateAsync(IObjectStore store, int chunkSize = ChunkSize) =>
        (await CreateWithCodeAsync(store, chunkSize)).Vault;

    internal static async Task<(BackupVault Vault, string RecoveryCode)> CreateWithCodeAsync(
        IObjectStore store, int chunkSize = ChunkSize, ParitySettings parity = default)
    {
        VaultSettings settings = new() { ChunkSize = chunkSize, Kdf = Cheap, Parity = parity };
        CreatedVault created = await BackupVault.CreateAsync(store, settings, Password, TimeProvider.System, Cheap, Token);
        using SecretBytes code = created.RecoveryCode;
        return (created.Vault, Encoding.ASCII.GetString(code.Span));
    }

    internal static Task<BackupVault> OpenAsync(IObjectStore store) => BackupVault.OpenAsync(store, Password, TimeProvider.System, Token);

    /// <summary>Content in which some chunks are zeros, some compress, some don't, and some are equal.</summary>
    internal static byte[] NewContent(int seed, int length, int chunkSize = ChunkSize)
    {
        byte[] content = new byte[length];
        Random random = new(seed);
        for (int at = 0; at < length; at += chunkSize)
        {
            Span<byte> chunk = content.AsSpan(at, Math.Min(chunkSize, length - at));
            switch (random.Next(4))
            {
                case 0:
                    break; // zeros
                case 1:
                    random.NextBytes(chunk);
                    break;
                case 2:
                    chunk.Fill((byte)random.Next(1, 4)); // few values: duplicates
                    break;
                default:
                    for (int i = 0; i < chunk.Length; i++)
                    {
                        chunk[i] = (byte)random.Next(4); // compresses to about a third
                    }

                    break;
            }
        }

        return content;
    }

    /// <summary>Backs content up as one volume and commits.</summary>
    internal static async Task<RecoveryPoint> BackupAsync(BackupVault vault, byte[] content, string name = "disk")
    {
        await using BackupSession session = await vault.BeginAsync("host", Token);
        return await BackupAsync(vault, session, content, name);
    }

    internal static async Task<RecoveryPoint> BackupAsync(BackupVault vault, BackupSession session, byte[] content, string name = "disk")
    {
        VolumeRecord volume = await ImageAsync(vault, session, content, name);
        return await session.CommitAsync(
            new PointDraft { Host = "host", Instant = TimeProvider.System.GetUtcNow(), Volumes = [volume], Tags = ["tag"], Notes = new Dictionary<string, string> { ["a"] = "b" } },
            Token);
    }

    internal static async Task<VolumeRecord> ImageAsync(
        BackupVault vault, BackupSession session, byte[] content, string name, Compression compression = Compression.Standard)
    {
        int size = vault.Info.ChunkSize;
        int chunks = (content.Length + size - 1) / size;
        BlockBitmap toCome = new(chunks);
        for (int i = 0; i < chunks; i++)
        {
            if (Chunk(content, i, size).Span.ContainsAnyExcept((byte)0) || i % 7 == 0)
            {
                toCome.Set(i); // some zero chunks are announced and then turn out to be holes
            }
        }

        ImageWriter image = session.NewImage(content.Length, toCome);
        using ChunkSealer sealer = session.NewSealer(compression);
        for (long i = toCome.NextSet(0); i >= 0; i = i + 1 < chunks ? toCome.NextSet(i + 1) : -1)
        {
            ReadOnlyMemory<byte> chunk = Chunk(content, (int)i, size);
            if (!chunk.Span.ContainsAnyExcept((byte)0))
            {
                image.Set(i, ChunkId.Hole);
                continue;
            }

            ChunkId id = session.Identify(chunk.Span);
            if (session.TryClaim(id))
            {
                await session.AddAsync(sealer.Seal(id, chunk.Span), Token);
            }

            image.Set(i, id);
        }

        ChunkId root = await image.FinishAsync(Token);
        return new VolumeRecord { Name = name, Source = "/dev/test", Length = content.Length, SectorSize = 512, Root = root, Grade = "crash" };
    }

    internal static async Task<byte[]> RestoreAsync(BackupVault vault, VolumeRecord volume)
    {
        await using IBlockReader image = vault.OpenImage(volume);
        byte[] content = new byte[volume.Length];
        await image.ReadAsync(0, content, Token);
        return content;
    }

    internal static async Task<Dictionary<string, byte[]>> SnapshotAsync(IObjectStore store)
    {
        Dictionary<string, byte[]> objects = new(StringComparer.Ordinal);
        await foreach (StoredObject found in store.ListAsync("", Token))
        {
            objects[found.Name] = (await store.GetAsync(found.Name, Token))!;
        }

        return objects;
    }

    internal static async Task<MemoryStore> StoreOfAsync(IEnumerable<KeyValuePair<string, byte[]>> objects)
    {
        MemoryStore store = new();
        foreach ((string name, byte[] content) in objects)
        {
            await store.PutAsync(name, content, Token);
        }

        return store;
    }

    /// <summary>The folder that holds the solution.</summary>
    internal static string RepositoryRoot()
    {
        string at = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(at, "Quench.slnx")))
        {
            at = Path.GetDirectoryName(at) ?? throw new InvalidOperationException("the tests run outside the repository");
        }

        return at;
    }

    private static ReadOnlyMemory<byte> Chunk(byte[] content, int index, int size) =>
        content.AsMemory(index * size, Math.Min(size, content.Length - (index * size)));
}
