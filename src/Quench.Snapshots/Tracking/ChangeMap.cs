using System.Numerics;
using Quench.Blocks;

namespace Quench.Snapshots.Tracking;

/// <summary>
/// Which grains (64 KiB) of a volume were written: 2 MiB for each TiB. A word of it is a region (4 MiB), the unit of the write-intent map, so
/// what must be known of a write to one region is known from one word.
/// </summary>
/// <remarks>Any number of threads may add and read at once. A bit once set is seen by whoever reads after it in the order of the machine; nothing is allocated after construction.</remarks>
internal sealed class ChangeMap
{
    internal const int GrainSize = 64 << 10;
    internal const int GrainsInRegion = 64;
    internal const int RegionSize = GrainSize * GrainsInRegion;

    private readonly ulong[] _words;

    internal ChangeMap(long volumeLength) => _words = new ulong[RegionsIn(volumeLength)];

    internal int Regions => _words.Length;

    /// <summary>The grains of one region.</summary>
    internal ulong this[int region] => Volatile.Read(ref _words[region]);

    internal static int RegionsIn(long volumeLength) => checked((int)((volumeLength + RegionSize - 1) / RegionSize));

    internal static int FirstRegion(Extent range) => (int)(range.Offset / RegionSize);

    internal static int LastRegion(Extent range) => (int)((range.End - 1) / RegionSize);

    /// <summary>The grains of a region that a range touches.</summary>
    internal static ulong Mask(Extent range, int region)
    {
        long start = (long)region * RegionSize;
        int first = (int)((Math.Max(range.Offset, start) - start) / GrainSize);
        int last = (int)((Math.Min(range.End, start + RegionSize) - 1 - start) / GrainSize);
        return (ulong.MaxValue >> (63 - last)) & (ulong.MaxValue << first);
    }

    /// <summary>Sets grains of a region. A full fence, unless they were all set before.</summary>
    internal void Add(int region, ulong grains)
    {
        ref ulong word = ref _words[region];
        if ((Volatile.Read(ref word) & grains) != grains)
        {
            Interlocked.Or(ref word, grains);
        }
    }

    /// <summary>Sets each bit that another map has.</summary>
    internal void UnionWith(ChangeMap other)
    {
        for (int region = 0; region < _words.Length; region++)
        {
            ulong grains = other[region];
            if (grains != 0)
            {
                Add(region, grains);
            }
        }
    }

    /// <summary>Makes this map what another one is now. Only for a map that nobody else uses.</summary>
    internal void CopyFrom(ChangeMap other)
    {
        for (int region = 0; region < _words.Length; region++)
        {
            _words[region] = other[region];
        }
    }

    /// <summary>The runs of set grains, in order, as (first, how many). Only while nobody adds.</summary>
    internal IEnumerable<(long First, long Count)> Runs() => RunsOf(_words);

    /// <summary>The runs of set bits in words, the lowest bit first.</summary>
    internal static IEnumerable<(long First, long Count)> RunsOf(ulong[] words)
    {
        long first = -1;
        for (int word = 0; word < words.Length; word++)
        {
            ulong bits = words[word];
            int at = 0;
            while (at < 64)
            {
                // the next bit that ends the run we are in, or begins one
                ulong rest = (first < 0 ? bits : ~bits) >> at;
                if (rest == 0)
                {
                    break;
                }

                at += BitOperations.TrailingZeroCount(rest);
                if (first < 0)
                {
                    first = ((long)word * 64) + at;
                }
                else
                {
                    yield return (first, ((long)word * 64) + at - first);
                    first = -1;
                }
            }
        }

        if (first >= 0)
        {
            yield return (first, ((long)words.Length * 64) - first);
        }
    }

    /// <summary>Sets a run of grains; for reading a stored map.</summary>
    internal void AddRun(long first, long count) => AddRun(_words, first, count);

    /// <summary>Sets a run of bits in words.</summary>
    internal static void AddRun(ulong[] words, long first, long count)
    {
        for (long at = first; at < first + count;)
        {
            int bit = (int)(at & 63);
            int length = (int)Math.Min(64 - bit, first + count - at);
            words[at >> 6] |= (ulong.MaxValue >> (64 - length)) << bit;
            at += length;
        }
    }

    /// <summary>How many grains are set here or in another map.</summary>
    internal long CountWith(ChangeMap? other)
    {
        long sum = 0;
        for (int region = 0; region < _words.Length; region++)
        {
            sum += BitOperations.PopCount(this[region] | (other?[region] ?? 0));
        }

        return sum;
    }
}
