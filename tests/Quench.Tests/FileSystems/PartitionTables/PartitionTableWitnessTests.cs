using Quench.FileSystems.PartitionTables;
using Xunit;

namespace Quench.Tests.FileSystems.PartitionTables;

/// <summary>Our reading of generated tables beside sfdisk's, and what we make of them for disks of other sizes before sgdisk and sfdisk.</summary>
public sealed class PartitionTableWitnessTests(ITestOutputHelper output)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Generated_tables_are_read_as_sfdisk_reads_them_and_fit_other_disks()
    {
        Tool.Require("sfdisk", "sgdisk");
        await GeneratedVolumes.HoldAsync(10, output, async (random, _, folder) =>
        {
            DiskRecipe recipe = DiskRecipe.Draw(random);
            await recipe.MakeAsync(folder["disk"]);
            List<string> differences = [];
            PartitionTable table = await ReadAsync(folder["disk"], recipe.SectorSize);
            differences.AddRange(Compare(await recipe.WitnessAsync(folder["disk"]), DiskRecipe.Lines(table)));
            if (table.Doubt is not null || table.Remarks.Count > 0)
            {
                differences.Add($"{table.Doubt} {string.Join(", ", table.Remarks)}");
            }

            differences.AddRange(await FitAsync(recipe, table, folder, random));
            return (recipe.Script, differences);
        });
    }

    /// <summary>Larger with and without growth, and as small as it may become; one sector less is refused.</summary>
    private static async Task<IEnumerable<string>> FitAsync(DiskRecipe recipe, PartitionTable table, TempFolder folder, Random random)
    {
        List<string> differences = [];
        long needed = Math.Max(table.Extended?.End ?? 0, table.Partitions.Max(partition => partition.Extent.End));
        long least = needed + (recipe.IsGpt ? recipe.SectorSize + ((16384 + recipe.SectorSize - 1) / recipe.SectorSize * recipe.SectorSize) : 0);
        Assert.False(TableFit.TryMake(table, least - recipe.SectorSize, growLast: false, out _, out string why));
        Assert.Contains("ends at byte", why, StringComparison.Ordinal);
        long larger = recipe.Length + (random.Next(1, 5000) * 4096L);
        foreach ((long length, bool grow) in ((long, bool)[])[(larger, false), (larger, true), (least, false), (recipe.Length, true)])
        {
            Assert.True(TableFit.TryMake(table, length, grow, out TableFit fit, out why), why);
            await WriteAsync(folder["disk"], folder["fitted"], length, fit);
            await (recipe with { Length = length }).DemandValidAsync(folder["fitted"]);
            PartitionTable read = await ReadAsync(folder["fitted"], recipe.SectorSize);
            IReadOnlyList<string> expected = DiskRecipe.Lines(table with { Partitions = [.. table.Partitions.Select(partition => partition.Number == fit.Grown?.Number ? fit.Grown : partition)] });
            differences.AddRange(Compare(expected, DiskRecipe.Lines(read)).Concat(Compare(await recipe.WitnessAsync(folder["fitted"]), expected)).Select(text => $"at {length} {grow}: {text}"));
            if (read.Doubt is not null || (recipe.IsGpt && read.Remarks.Count > 0))
            {
                differences.Add($"at {length} {grow}: {read.Doubt} {string.Join(", ", read.Remarks)}");
            }
        }

        return differences;
    }

    private static async Task<PartitionTable> ReadAsync(string path, int sectorSize)
    {
        await using TestVolume disk = TestVolume.OverFile(path, sectorSize);
        PartitionTable? table = await PartitionTableReader.TryReadAsync(disk, sectorSize, Token);
        Assert.NotNull(table);
        return table;
    }

    private static async Task WriteAsync(string from, string to, long length, TableFit fit)
    {
        File.Copy(from, to, overwrite: true);
        await using FileStream file = new(to, FileMode.Open, FileAccess.Write);
        file.SetLength(length);
        foreach ((long offset, byte[] bytes) in fit.Clears.Select(clear => (clear.Offset, new byte[clear.Length])).Concat(fit.Writes))
        {
            file.Position = offset;
            await file.WriteAsync(bytes, Token);
        }
    }

    private static IEnumerable<string> Compare(IReadOnlyList<string> expected, IReadOnlyList<string> ours) =>
        expected.SequenceEqual(ours) ? [] : [$"expected\n{string.Join('\n', expected)}\nours\n{string.Join('\n', ours)}"];
}
