using System.Globalization;
using System.Text;
using Quench.Blocks;
using Quench.Vault;

namespace Quench.Cli.Output;

/// <summary>A disk as a table of its partitions and as a strip: their widths by size, their shades by use.</summary>
internal static class DiskPicture
{
    private const int Columns = 72;

    /// <summary>Draws a disk.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="disk">How it is divided.</param>
    /// <param name="length">Bytes of it.</param>
    /// <param name="used">Its map, for shades inside of partitions; null when only their sums are known.</param>
    public static void Write(TextWriter output, DiskRecord disk, long length, UsedBlocks? used)
    {
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{disk.Scheme} disk of {ByteSize.Format(length)}, sectors of {disk.SectorSize} bytes{(disk.Id.Length > 0 ? ", id " : "")}{disk.Id}"));
        foreach (string remark in disk.Remarks)
        {
            output.WriteLine($"note: {remark}");
        }

        IReadOnlyList<DiskRegion> regions = DiskRegion.Of(disk);
        TextTable table = new("no", "at", "size", "in use", "type", "holds", "label", "name");
        foreach (DiskRegion region in regions)
        {
            table.Add(
                region.Number, ByteSize.Format(region.Extent.Offset), ByteSize.Format(region.Extent.Length), ByteSize.Format(region.UsedBytes), TypeOf(region.Partition), region.Content,
                DiskRegion.Plain(region.Partition?.Label ?? ""), DiskRegion.Plain(region.Partition?.Name ?? ""));
        }

        table.WriteTo(output);
        WriteStrip(output, regions, used);
        foreach (PartitionRecord partition in disk.Partitions.Where(partition => partition.MapDoubt is not null))
        {
            output.WriteLine($"all of partition {partition.Number} counts as in use: {partition.MapDoubt}");
        }
    }

    private static string TypeOf(PartitionRecord? partition) =>
        partition is null ? "" : (partition.TypeName.Length > 0 ? partition.TypeName : partition.Type) + (partition.Active ? ", active" : "") + (partition.Logical ? ", logical" : "");

    private static void WriteStrip(TextWriter output, IReadOnlyList<DiskRegion> regions, UsedBlocks? used)
    {
        StringBuilder numbers = new("|");
        StringBuilder shades = new("|");
        foreach ((DiskRegion region, int width) in regions.Zip(Widths(regions)))
        {
            string number = region.Partition is null ? "" : region.Number;
            numbers.Append(number.PadRight(width)[..width]).Append('|');
            double share = region.Extent.IsEmpty ? 0 : (double)region.UsedBytes / region.Extent.Length;
            shades.Append(used is null ? new string(UsedShare.Shade(share), width) : UsedShare.Row(used, region.Extent, width)).Append('|');
        }

        output.WriteLine(numbers.ToString());
        output.WriteLine(shades.ToString());
    }

    /// <summary>Columns of each region: by size, but for every one at least as many as its number needs.</summary>
    private static IEnumerable<int> Widths(IReadOnlyList<DiskRegion> regions)
    {
        double total = Math.Max(1, regions.Sum(region => (double)region.Extent.Length));
        return regions.Select(region => Math.Max(region.Partition is null ? 1 : region.Number.Length, (int)(region.Extent.Length / total * Columns)));
    }
}
