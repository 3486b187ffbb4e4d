using System.Globalization;
using System.Net;
using System.Text;
using Quench.Blocks;
using Quench.Imaging.Sources;

namespace Quench.Cli.Output;

/// <summary>A volume or a disk as a drawing (SVG 1.1): its partitions above, below them how full each part is.</summary>
internal static class SvgPicture
{
    private const int Width = 1024;
    private const int Cells = 512;
    private const int LetterWidth = 7;
    private static readonly string[] s_colours = ["#7aa6c2", "#c2a67a", "#8fbf8f", "#c28f8f", "#a693c2", "#c2bf7a"];

    /// <summary>The drawing's text.</summary>
    public static string Draw(SourceInspection found)
    {
        StringBuilder svg = new();
        svg.AppendLine($"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{Width}\" height=\"140\" font-family=\"sans-serif\" font-size=\"12\">");
        svg.AppendLine("<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>");
        string content = found.Content.Length > 0 ? found.Content : "unknown content";
        Text(svg, 4, 16, $"{Path.GetFileName(found.Path)}: {content}, {ByteSize.Format(found.Length)}, of which {ByteSize.Format(found.Used.TotalLength)} in use");
        if (found.Length > 0)
        {
            Regions(svg, found);
            Shares(svg, found.Used, found.Length);
        }

        svg.AppendLine("</svg>");
        return svg.ToString();
    }

    private static void Regions(StringBuilder svg, SourceInspection found)
    {
        foreach (DiskRegion region in found.Disk is { } disk ? DiskRegion.Of(disk) : [])
        {
            double x = X(region.Extent.Offset, found.Length);
            double width = Math.Max(1, X(region.Extent.End, found.Length) - x);
            string colour = region.Partition is { } partition ? s_colours[Math.Abs(partition.Number) % s_colours.Length] : "#dddddd";
            Rectangle(svg, x, 26, width, 44, colour);
            string words = region.Partition is null ? "" : $"{region.Number} {region.Content} {DiskRegion.Plain(region.Partition.Label)}".TrimEnd();
            if (words.Length * LetterWidth < width)
            {
                Text(svg, x + 3, 44, words);
                Text(svg, x + 3, 60, ByteSize.Format(region.Extent.Length));
            }
        }
    }

    private static void Shares(StringBuilder svg, UsedBlocks used, long length)
    {
        for (int cell = 0; cell < Cells; cell++)
        {
            double share = UsedShare.Of(used, UsedShare.Cut(new Extent(0, length), cell, Cells));
            if (share > 0)
            {
                int grey = 220 - (int)(share * 190);
                Rectangle(svg, (double)cell * Width / Cells, 80, (double)Width / Cells, 50, $"#{grey:x2}{grey:x2}{grey:x2}");
            }
        }
    }

    private static double X(long offset, long length) => (double)offset / length * Width;

    private static void Rectangle(StringBuilder svg, double x, double y, double width, double height, string colour) => svg.AppendLine(
        string.Create(CultureInfo.InvariantCulture, $"<rect x=\"{x:0.##}\" y=\"{y:0.##}\" width=\"{width:0.##}\" height=\"{height:0.##}\" fill=\"{colour}\"/>"));

    private static void Text(StringBuilder svg, double x, double y, string words) =>
        svg.AppendLine(string.Create(CultureInfo.InvariantCulture, $"<text x=\"{x:0.##}\" y=\"{y:0.##}\">{WebUtility.HtmlEncode(words)}</text>"));
}
