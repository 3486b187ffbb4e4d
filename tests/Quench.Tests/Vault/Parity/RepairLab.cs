using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Vault;
using Quench.Vault.Stores;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Vault.Parity;

/// <summary>Small vaults with parity, ways to hurt them, and what can be read of them.</summary>
internal static class RepairLab
{
    internal static async Task<BackupVault> CreateAsync(IObjectStore store, ParitySettings parity) =>
        (await BackupVault.CreateAsync(
            store, new VaultSettings { ChunkSize = ChunkSize, Kdf = Cheap, Parity = parity }, Password, TimeProvider.System, Cheap, Token)).Vault;

    /// <summary>A vault with a point for each content.</summary>
    internal static async Task<Dictionary<string, byte[]>> NewVaultAsync(ParitySettings parity, params byte[][] contents)
    {
        MemoryStore store = new();
        await using BackupVault vault = await CreateAsync(store, parity);
        foreach (byte[] content in contents)
        {
            await BackupAsync(vault, content);
        }

        return await SnapshotAsync(store);
    }

    /// <summary>A disk with this content.</summary>
    internal static async Task<MemoryDevice> DeviceOfAsync(byte[] content)
    {
        MemoryDevice device = new(content.Length, 1);
        await device.WriteAsync(0, content, Token);
        return device;
    }

    internal static async Task<RepairReport> RepairAsync(IObjectStore store, params GoodCopy[] copies)
    {
        await using BackupVault vault = await OpenAsync(store);
        return await vault.RepairAsync(new RepairOptions { Copies = copies }, null, Token);
    }

    internal static async Task<VerifyReport> VerifyAsync(IObjectStore store)
    {
        await using BackupVault vault = await OpenAsync(store);
        return await vault.VerifyAsync(null, VerifyLevel.Data, null, Token);
    }

    /// <summary>Every chunk of every volume that can be read, with its place. What can be read and is wrong is a failure at once.</summary>
    internal static async Task<HashSet<(int Point, long Offset)>> ReadableAsync(IObjectStore store, IReadOnlyList<byte[]> contents)
    {
        HashSet<(int, long)> readable = [];
        await using BackupVault vault = await OpenAsync(store);
        foreach (RecoveryPoint point in await vault.ListPointsAsync(Token))
        {
            foreach (VolumeRecord volume in point.Volumes)
            {
                int number = Enumerable.Range(0, contents.Count).First(index => contents[index].Length == volume.Length);
                await using IBlockReader image = vault.OpenImage(volume);
                for (long offset = 0; offset < volume.Length; offset += ChunkSize)
                {
                    byte[] chunk = new byte[Math.Min(ChunkSize, volume.Length - offset)];
                    try
                    {
                        await image.ReadAsync(offset, chunk, Token);
                    }
                    catch (QuenchException)
                    {
                        continue;
                    }

                    Xunit.Assert.True(contents[number].AsSpan((int)offset, chunk.Length).SequenceEqual(chunk), $"wrong bytes at {offset}");
                    readable.Add((number, offset));
                }
            }
        }

        return readable;
    }

    /// <summary>Damages an object in one of the ways of media and men. It may be deleted.</summary>
    internal static void Hurt(Random random, Dictionary<string, byte[]> objects, string name)
    {
        byte[] bytes = [.. objects[name]];
        switch (random.Next(8))
        {
            case 0:
                objects.Remove(name);
                return;
            case 1:
                bytes = bytes[..random.Next(bytes.Length)];
                break;
            case 2:
                bytes = [.. bytes, .. random.NextBytes(random.Next(1, 5000))];
                break;
            case 3:
                int start = random.Next(bytes.Length);
                bytes.AsSpan(start, random.Next(1, Math.Min(20_000, bytes.Length - start) + 1)).Clear();
                break;
            case 4:
                random.NextBytes(bytes.AsSpan(random.Next(bytes.Length) & ~4095));
                break;
            default:
                for (int flips = random.Next(1, 12); flips > 0; flips--)
                {
                    bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
                }

                break;
        }

        objects[name] = bytes;
    }
}
