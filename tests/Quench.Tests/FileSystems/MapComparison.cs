using Quench.Blocks;

namespace Quench.Tests.FileSystems;

/// <summary>Two maps of one volume, held against each other.</summary>
internal static class MapComparison
{
    /// <summary>Null when two maps are the same; otherwise the first run in which they differ.</summary>
    public static string? Compare(UsedBlocks ours, UsedBlocks theirs)
    {
        if (ours.BlockSize != theirs.BlockSize || ours.VolumeLength != theirs.VolumeLength)
        {
            return $"ours speaks of {ours.BlockSize}-byte blocks of {ours.VolumeLength} bytes, theirs of {theirs.BlockSize} of {theirs.VolumeLength}";
        }

        foreach ((Extent our, Extent their) in ours.Runs().Zip(theirs.Runs()))
        {
            if (our != their)
            {
                return $"in blocks of {ours.BlockSize}: ours has [{our.Offset / ours.BlockSize}, {our.End / ours.BlockSize}) in use, theirs [{their.Offset / ours.BlockSize}, {their.End / ours.BlockSize})";
            }
        }

        return ours.TotalLength == theirs.TotalLength ? null : $"ours has {ours.TotalLength} bytes in use, theirs {theirs.TotalLength}";
    }

    /// <summary>The same map in smaller blocks.</summary>
    public static UsedBlocks InBlocksOf(this UsedBlocks map, int blockSize)
    {
        UsedBlocks finer = new(map.VolumeLength, blockSize);
        foreach (Extent run in map.Runs())
        {
            finer.Add(run);
        }

        return finer;
    }
}
