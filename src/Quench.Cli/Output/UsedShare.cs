using Quench.Blocks;

namespace Quench.Cli.Output;

/// <summary>How full parts of a volume are, for pictures.</summary>
internal static class UsedShare
{
    private const string Shades = " ░▒▓█";

    /// <summary>The share of an extent that is in use: 0 to 1.</summary>
    public static double Of(UsedBlocks used, Extent extent)
    {
        if (extent.IsEmpty)
        {
            return 0;
        }

        long first = extent.Offset / used.BlockSize;
        long count = ((extent.End - 1) / used.BlockSize) - first + 1;
        return (double)used.Bits.CountSet(first, count) / count;
    }

    /// <summary>One character for a share: blank for nothing at all, full for all of it, and never either for what lies between.</summary>
    public static char Shade(double share) =>
        share <= 0 ? Shades[0] : share >= 1 ? Shades[^1] : Shades[Math.Clamp(1 + (int)(share * 3), 1, Shades.Length - 2)];

    /// <summary>A row of shades over an extent.</summary>
    public static string Row(UsedBlocks used, Extent extent, int columns)
    {
        char[] row = new char[columns];
        for (int column = 0; column < columns; column++)
        {
            row[column] = Shade(Of(used, Cut(extent, column, columns)));
        }

        return new string(row);
    }

    /// <summary>One of so many equal parts of an extent.</summary>
    public static Extent Cut(Extent extent, int part, int parts) =>
        Extent.FromTo(extent.Offset + (long)((Int128)extent.Length * part / parts), extent.Offset + (long)((Int128)extent.Length * (part + 1) / parts));
}
