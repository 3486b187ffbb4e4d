using System.Buffers.Binary;
using System.Security.Cryptography;
using Quench.Blocks;
using Quench.Blocks.Buffers;
using Quench.FileSystems;
using Quench.Imaging.Activity;
using Quench.Vault;

namespace Quench.Imaging.Recovery;

/// <summary>
/// The deepest level of verification short of a boot: each volume is read back whole, in the way and order of a restore, its hash is held against the
/// proof that was made with the point, and what is on it is recognised again.
/// </summary>
public static class RestoreCheck
{
    private const int EntrySize = sizeof(long) + SHA256.HashSizeInBytes;
    private const int SegmentBytes = 1 << 20;

    /// <summary>Reads volumes back.</summary>
    /// <param name="vault">The vault.</param>
    /// <param name="points">The points whose volumes to read; damaged ones have none.</param>
    /// <param name="activity">Told how far it is.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>What is wrong; empty when every volume is what it was.</returns>
    public static async Task<IReadOnlyList<VaultDamage>> RunAsync(
        BackupVault vault, IReadOnlyList<RecoveryPoint> points, ActivityMonitor activity, CancellationToken cancellationToken)
    {
        List<VaultDamage> damage = [];
        activity.Begin(JobPhase.Verifying, points.Sum(point => point.Volumes.Sum(volume => volume.Length)));
        foreach (RecoveryPoint point in points)
        {
            foreach (VolumeRecord volume in point.Volumes)
            {
                await using IBlockReader image = vault.OpenImage(volume);
                if (await CheckAsync(image, volume, vault.Info.ChunkSize, activity, cancellationToken) is { } wrong)
                {
                    damage.Add(new VaultDamage(wrong, point.Id, volume.Name));
                }
            }
        }

        return damage;
    }

    private static async Task<string?> CheckAsync(
        IBlockReader image, VolumeRecord volume, int chunkSize, ActivityMonitor activity, CancellationToken cancellationToken)
    {
        try
        {
            byte[] hash = await HashAsync(image, chunkSize, activity, cancellationToken);
            return volume.Proof is { Algorithm: "sha256" } proof && !proof.Hash.Equals(Convert.ToHexString(hash), StringComparison.OrdinalIgnoreCase)
                ? $"what would be restored has the hash {Convert.ToHexStringLower(hash)}, and the proof of the point says {proof.Hash}"
                : await RecogniseAsync(image, volume, cancellationToken);
        }
        catch (QuenchException failure)
        {
            return $"it can't be read back whole: {failure.Message}";
        }
    }

    /// <summary>The hash of a proof: over the index and the SHA-256 of each chunk that is not all zeros.</summary>
    private static async Task<byte[]> HashAsync(IBlockReader image, int chunkSize, ActivityMonitor activity, CancellationToken cancellationToken)
    {
        int lanes = Math.Max(2, Environment.ProcessorCount);
        int segment = Math.Max(SegmentBytes, chunkSize);
        using IncrementalHash whole = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using AlignedBufferPool buffers = new(segment, lanes);
        byte[][] entries = [.. Enumerable.Range(0, lanes).Select(_ => new byte[segment / chunkSize * EntrySize])];
        int[] written = new int[lanes];
        ParallelOptions options = new() { MaxDegreeOfParallelism = lanes, CancellationToken = cancellationToken };
        for (long from = 0; from < image.Geometry.Length; from += (long)segment * lanes)
        {
            long start = from;
            await Parallel.ForAsync(0, lanes, options, async (lane, token) =>
            {
                using BufferLease buffer = buffers.Rent();
                long offset = start + ((long)lane * segment);
                Memory<byte> bytes = buffer.Memory[..(int)Math.Clamp(image.Geometry.Length - offset, 0, segment)];
                if (!bytes.IsEmpty)
                {
                    await image.ReadAsync(offset, bytes, token);
                }

                written[lane] = WriteEntries(offset / chunkSize, bytes.Span, chunkSize, entries[lane]);
                activity.Add(bytes.Length);
            });
            for (int lane = 0; lane < lanes; lane++)
            {
                whole.AppendData(entries[lane], 0, written[lane]);
            }
        }

        return whole.GetHashAndReset();
    }

    private static int WriteEntries(long firstChunk, ReadOnlySpan<byte> bytes, int chunkSize, Span<byte> entries)
    {
        int written = 0;
        for (int offset = 0; offset < bytes.Length; offset += chunkSize)
        {
            ReadOnlySpan<byte> chunk = bytes.Slice(offset, Math.Min(chunkSize, bytes.Length - offset));
            if (chunk.ContainsAnyExcept((byte)0))
            {
                BinaryPrimitives.WriteInt64LittleEndian(entries[written..], firstChunk + (offset / chunkSize));
                SHA256.HashData(chunk, entries[(written + sizeof(long))..]);
                written += EntrySize;
            }
        }

        return written;
    }

    /// <summary>Looks at the image as a machine would that mounts it: the file system must be the one that was imaged, and its map hold.</summary>
    private static async Task<string?> RecogniseAsync(IBlockReader image, VolumeRecord volume, CancellationToken cancellationToken)
    {
        if (volume.FileSystem.Length == 0)
        {
            return null;
        }

        VolumeCondition condition = volume.Provider == "cold" ? VolumeCondition.AtRest
            : volume.Grade == "crash" ? VolumeCondition.Running
            : VolumeCondition.Frozen;
        VolumeCondition ConditionOf(Extent extent) =>
            volume.Disk?.Partitions.FirstOrDefault(part => part.Offset == extent.Offset) is { } part && extent != image.Geometry.Whole ? DiskText.ConditionOf(part.Condition) : condition;
        VolumeAnalysis found = await Recogniser.AnalyseAsync(image, ConditionOf, cancellationToken);
        if (found.FileSystem is not { } facts || facts.Type != volume.FileSystem || facts.Uuid != volume.Uuid)
        {
            return $"what would be restored is not the {volume.FileSystem} file system that was imaged";
        }

        return volume.MapDoubt is null && found.Doubt is { } doubt ? $"the file system that would be restored is not in order: {doubt}" : ComparePartitions(volume.Disk, found.Disk);
    }

    /// <summary>Each partition must hold what was imaged.</summary>
    private static string? ComparePartitions(DiskRecord? then, PartitionedDisk? now)
    {
        foreach (PartitionRecord part in then?.Partitions ?? [])
        {
            PartitionContent? content = now?.Partitions.FirstOrDefault(one => one.Partition.Number == part.Number && one.Partition.Extent == new Extent(part.Offset, part.Length));
            if (content is null || (content.FileSystem?.Type ?? "") != part.FileSystem || (content.FileSystem?.Uuid ?? "") != part.Uuid)
            {
                return $"what would be restored as partition {part.Number} is not what was imaged";
            }

            if (part.MapDoubt is null && content.Doubt is { } doubt)
            {
                return $"the file system that would be restored to partition {part.Number} is not in order: {doubt}";
            }
        }

        return null;
    }
}
