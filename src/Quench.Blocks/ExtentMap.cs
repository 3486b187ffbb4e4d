namespace Quench.Blocks;

/// <summary>What is known of a range without reading it.</summary>
public enum ExtentKind
{
    /// <summary>Anything may be there: it must be read.</summary>
    Data,

    /// <summary>It reads as zeros.</summary>
    Zero,
}

/// <summary>A range and what is known of it.</summary>
/// <param name="Extent">The range.</param>
/// <param name="Kind">What is known.</param>
public readonly record struct MappedExtent(Extent Extent, ExtentKind Kind);

/// <summary>Answers to "what is where": consecutive extents that cover the asked range exactly, neighbours differing in kind.</summary>
public static class ExtentMap
{
    /// <summary>The map of a range of which nothing is known.</summary>
    public static IReadOnlyList<MappedExtent> AllData(Extent range) => range.IsEmpty ? [] : [new MappedExtent(range, ExtentKind.Data)];

    /// <summary>The map of a range in which everything outside the given set reads as zeros.</summary>
    public static IReadOnlyList<MappedExtent> FromData(ExtentSet data, Extent range)
    {
        List<MappedExtent> map = [];
        long position = range.Offset;
        foreach (Extent part in data.Within(range))
        {
            if (part.Offset > position)
            {
                map.Add(new MappedExtent(Extent.FromTo(position, part.Offset), ExtentKind.Zero));
            }

            map.Add(new MappedExtent(part, ExtentKind.Data));
            position = part.End;
        }

        if (position < range.End)
        {
            map.Add(new MappedExtent(Extent.FromTo(position, range.End), ExtentKind.Zero));
        }

        return map;
    }
}
