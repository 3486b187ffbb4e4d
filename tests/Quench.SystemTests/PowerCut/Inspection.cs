using Quench.Blocks;
using Quench.Vault;
using Quench.Vault.Stores;

namespace Quench.SystemTests.PowerCut;

/// <summary>Holds the vaults of a disk, as they were found after something had gone wrong, against what was promised.</summary>
internal static class Inspection
{
    /// <summary>Looks at one vault.</summary>
    /// <param name="folder">Where it is.</param>
    /// <param name="due">Whether it must be there.</param>
    /// <param name="promises">All that was ever begun in it.</param>
    /// <param name="isDue">Which of those must be there now.</param>
    /// <param name="repair">Whether it may be damaged and is to be repaired first.</param>
    /// <param name="goOn">Whether to add a point afterwards and to collect garbage.</param>
    /// <returns>What is wrong; null when all is well.</returns>
    internal static async Task<string?> FindFaultAsync(
        string folder, bool due, IReadOnlyList<Promise> promises, Func<Promise, bool> isDue, bool repair, bool goOn)
    {
        BackupVault vault;
        try
        {
            vault = await VaultWork.OpenAsync(new LocalDirectory(folder));
        }
        catch (QuenchException failure)
        {
            return due ? $"the vault does not open: {failure.Message}" : null;
        }

        await using (vault)
        {
            return (repair ? await FindFaultInRepairAsync(vault) : null)
                ?? await FindFaultAsync(vault, promises, isDue)
                ?? (goOn ? await FindFaultInGoingOnAsync(vault) : null);
        }
    }

    /// <summary>A repair, begun before or not, comes to its end with no manual step and leaves nothing damaged.</summary>
    private static async Task<string?> FindFaultInRepairAsync(BackupVault vault)
    {
        RepairReport report = await vault.RepairAsync(new RepairOptions(), null, CancellationToken.None);
        return report.IsSound ? null : $"a repair leaves damage: {report.Unhealed[0].What}";
    }

    private static async Task<string?> FindFaultAsync(BackupVault vault, IReadOnlyList<Promise> promises, Func<Promise, bool> isDue)
    {
        IReadOnlyList<RecoveryPoint> points = await vault.ListPointsAsync(CancellationToken.None);
        foreach (Promise promise in promises.Where(isDue))
        {
            if (!points.Any(point => point.Damage is null && point.Instant == promise.Instant))
            {
                return $"the point of {promise.Instant:HH:mm} was acknowledged and is not there";
            }
        }

        foreach (RecoveryPoint point in points)
        {
            if (point.Damage is not null || !await IsRightAsync(vault, point, promises.Single(promise => promise.Instant == point.Instant).Content))
            {
                return $"point {point.ShortId} of {point.Instant:HH:mm} does not restore: {point.Damage ?? "other bytes, or none"}";
            }
        }

        VerifyReport report = await vault.VerifyAsync(null, VerifyLevel.Data, null, CancellationToken.None);
        return report.IsSound ? null : $"verify: {report.Damage[0].What}";
    }

    private static async Task<bool> IsRightAsync(BackupVault vault, RecoveryPoint point, byte[] content)
    {
        try
        {
            await using IBlockReader image = vault.OpenImage(point.Volumes[0]);
            byte[] read = new byte[content.Length];
            await image.ReadAsync(0, read, CancellationToken.None);
            return read.AsSpan().SequenceEqual(content) && image.Geometry.Length == content.Length;
        }
        catch (QuenchException)
        {
            return false;
        }
    }

    /// <summary>The next backup and the next collection work, with no manual step.</summary>
    private static async Task<string?> FindFaultInGoingOnAsync(BackupVault vault)
    {
        byte[] content = new byte[vault.Info.ChunkSize * 4];
        new Random(1).NextBytes(content);
        DateTimeOffset instant = new(2027, 1, 1, 0, 0, 0, TimeSpan.Zero);
        try
        {
            await VaultWork.PruneAsync(vault);
            await VaultWork.BackUpAsync(vault, content, instant);
        }
        catch (QuenchException failure)
        {
            return $"the next collection or backup fails: {failure.Message}";
        }

        RecoveryPoint? point = await vault.FindPointAsync("latest", CancellationToken.None);
        VerifyReport report = await vault.VerifyAsync(null, VerifyLevel.Data, null, CancellationToken.None);
        return point?.Instant != instant || !await IsRightAsync(vault, point, content) ? "the next backup does not restore"
            : report.IsSound ? null : $"after the next collection: {report.Damage[0].What}";
    }
}
