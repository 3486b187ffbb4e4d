using Quench.Blocks;
using Quench.Vault;
using Quench.Vault.Stores;
using Xunit;

namespace Quench.Tests.Vault;

/// <summary>What differs between two images is known from their maps.</summary>
public sealed class ImageComparisonTests
{
    private const int Chunk = VaultLab.ChunkSize;

    [Theory]
    [InlineData(1)]
    [InlineData(Chunk * 5)]
    [InlineData((Chunk * 700) + 100)] // two levels of pages
    public async Task The_chunks_that_differ_are_named_and_no_others(int length)
    {
        Random random = TestSeed.NewRandom();
        byte[] older = VaultLab.NewContent(random.Next(), length);
        byte[] newer = [.. older];
        int chunks = (length + Chunk - 1) / Chunk;
        for (int i = 0; i < 10; i++)
        {
            Span<byte> chunk = newer.AsSpan(random.Next(chunks) * Chunk);
            chunk = chunk[..Math.Min(Chunk, chunk.Length)];
            if (random.Next(2) == 0)
            {
                chunk.Clear();
            }
            else
            {
                random.NextBytes(chunk);
            }
        }

        await using BackupVault vault = await VaultLab.CreateAsync(new MemoryStore());
        VolumeRecord then = (await VaultLab.BackupAsync(vault, older)).Volumes[0];
        VolumeRecord now = (await VaultLab.BackupAsync(vault, newer)).Volumes[0];
        UsedBlocks changed = await vault.CompareAsync(then, now, VaultLab.Token);
        for (int chunk = 0; chunk < chunks; chunk++)
        {
            Range bytes = (chunk * Chunk)..Math.Min(length, (chunk + 1) * Chunk);
            Assert.Equal(!older.AsSpan(bytes).SequenceEqual(newer.AsSpan(bytes)), changed.Bits[chunk]);
        }

        Assert.Equal(0, (await vault.CompareAsync(now, now, VaultLab.Token)).Bits.CountSet());
        Assert.Equal(changed.Bits.SetRuns(), (await vault.CompareAsync(now, then, VaultLab.Token)).Bits.SetRuns());
    }

    [Fact]
    public async Task All_of_a_volume_that_has_grown_may_have_changed()
    {
        await using BackupVault vault = await VaultLab.CreateAsync(new MemoryStore());
        VolumeRecord then = (await VaultLab.BackupAsync(vault, new byte[Chunk])).Volumes[0];
        VolumeRecord now = (await VaultLab.BackupAsync(vault, new byte[2 * Chunk])).Volumes[0];
        Assert.Equal(2 * Chunk, (await vault.CompareAsync(then, now, VaultLab.Token)).TotalLength);
    }
}
