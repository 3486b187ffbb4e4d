using Quench.Blocks;
using Quench.FileSystems;
using Quench.FileSystems.PartitionTables;
using Quench.Tests.FileSystems.Ext4;
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

    [Fact]
    public async Task Generated_disks_are_mapped_as_their_partitions_are_and_are_whole_when_restored()
    {
        Tool.Require("sfdisk", "sgdisk", "mke2fs", "dumpe2fs", "debugfs", "e2fsck");
        int doubted = 0;
        int filled = 0;
        DiskRecipe? recipe = null;
        IReadOnlyList<Extent> made = [];
        RestoreTrial trial = new(image => CheckAsync(recipe!, image, made), (image, folder) => ListAsync(recipe!, image, made, folder));
        await GeneratedVolumes.HoldAsync(6, output, async (random, _, folder) =>
        {
            recipe = DiskRecipe.Draw(random);
            await recipe.MakeAsync(folder["disk"]);
            PartitionTable table = await ReadAsync(folder["disk"], recipe.SectorSize);
            made = await FillAsync(table, folder, random);
            filled += made.Count;
            List<string> differences = [];
            await using TestVolume volume = TestVolume.OverFile(folder["disk"], recipe.SectorSize);
            VolumeAnalysis ours = await Recogniser.AnalyseAsync(volume, VolumeCondition.AtRest, Token);
            UsedBlocks expected = ours.Doubt is null ? await ExpectAsync(folder["disk"], table, made) : UsedBlocks.All(ours.Used.VolumeLength);
            doubted += ours.Doubt is null ? 0 : 1;
            if (ours.Doubt is { } doubt && !IsOfSectors(doubt, recipe))
            {
                differences.Add(doubt);
            }

            if (MapComparison.Compare(ours.Used, expected) is { } difference)
            {
                differences.Add(difference);
            }

            await trial.AddDifferencesAsync(folder["disk"], ours.Used, random, differences);
            return ($"{recipe.Script} ({made.Count} filled)", differences);
        });
        trial.Demand(output);
        output.WriteLine($"{filled} partitions with ext4; {doubted} boot records in doubt about their sectors, and all of their disks in use");
        Assert.True(filled > 0 || Knob.WitnessNumber >= 0, "no partition was filled");
    }

    /// <summary>Whether nothing tells in which sectors a boot record counts.</summary>
    private static bool IsOfSectors(string doubt, DiskRecipe recipe) =>
        !recipe.IsGpt && doubt.Contains("in sectors of 512 bytes or of 4096", StringComparison.Ordinal);

    /// <summary>ext4 with files in some of the partitions; random bytes in the others.</summary>
    private static async Task<IReadOnlyList<Extent>> FillAsync(PartitionTable table, TempFolder folder, Random random)
    {
        List<Extent> made = [];
        foreach (Partition partition in table.Partitions)
        {
            Extent extent = partition.Extent;
            string content = Directory.CreateDirectory(folder[$"content{partition.Number}"]).FullName;
            FileWork.Do(content, random, Math.Min(extent.Length / 4, 4 << 20));
            bool isMade = extent.Length >= 4 << 20 && random.Next(3) > 0
                && (await Tool.TryRunAsync("mke2fs", "-q", "-F", "-t", "ext4", "-d", content, "-E", $"offset={extent.Offset}", folder["disk"], $"{extent.Length / 1024}K")).ExitCode == 0;
            if (isMade)
            {
                made.Add(extent);
                continue;
            }

            byte[] bytes = new byte[Math.Min(extent.Length, 1 << 20)];
            random.NextBytes(bytes);
            await using FileStream file = new(folder["disk"], FileMode.Open, FileAccess.Write);
            file.Position = extent.Offset;
            await file.WriteAsync(bytes, Token);
        }

        return made;
    }

    /// <summary>Of partitions with ext4 what dumpe2fs says, all of the others, the sectors of the table, and of a gap its first 16 MiB and its last.</summary>
    private static async Task<UsedBlocks> ExpectAsync(string disk, PartitionTable table, IReadOnlyList<Extent> made)
    {
        UsedBlocks used = new(new FileInfo(disk).Length, 4096);
        foreach (Extent extent in table.Partitions.Select(partition => partition.Extent))
        {
            if (!made.Contains(extent))
            {
                used.Add(extent);
                continue;
            }

            foreach (Extent run in (await ExtWitness.AskDumpe2fsAsync(disk, extent)).Runs())
            {
                used.Add(new Extent(extent.Offset + run.Offset, run.Length));
            }
        }

        ExtentSet taken = new(table.Partitions.Select(partition => partition.Extent));
        foreach (Extent gap in taken.Outside(new Extent(0, used.VolumeLength)))
        {
            used.Add(new Extent(gap.Offset, Math.Min(gap.Length, gap.Length <= 17 << 20 ? gap.Length : 16 << 20)));
            used.Add(Extent.FromTo(Math.Max(gap.Offset, gap.End - (1 << 20)), gap.End));
        }

        foreach (Extent sectors in table.Sectors)
        {
            used.Add(sectors);
        }

        return used;
    }

    private static async Task<string?> CheckAsync(DiskRecipe recipe, string image, IReadOnlyList<Extent> made)
    {
        string? wrong = await recipe.FindProblemAsync(image);
        foreach (Extent extent in made)
        {
            wrong ??= await RestoreTrial.AskAsync("e2fsck", "-f", "-n", $"{image}?offset={extent.Offset}");
        }

        return wrong;
    }

    private static async Task<IReadOnlyList<string>> ListAsync(DiskRecipe recipe, string image, IReadOnlyList<Extent> made, string folder)
    {
        List<string> lines = [.. await recipe.WitnessAsync(image)];
        foreach (Extent extent in made)
        {
            Directory.CreateDirectory(folder);
            await Tool.RunAsync("debugfs", "-R", $"rdump / {folder}", $"{image}?offset={extent.Offset}");
            lines.AddRange(Restored.Listing(folder).Select(line => $"{extent.Offset} {line}"));
            Directory.Delete(folder, recursive: true);
        }

        return lines;
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
