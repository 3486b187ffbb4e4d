using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Xunit;

namespace Quench.SystemTests.Stamps;

/// <summary>What a look at a field found.</summary>
/// <param name="Last">The highest stamp there: the field should be what it was after exactly this write.</param>
/// <param name="Wrong">What does not fit that, a line for each block; empty when everything does.</param>
internal sealed record StampVerdict(long Last, IReadOnlyList<string> Wrong)
{
    private const int MaxLines = 20;

    /// <summary>Demands the field as it was after some write, not earlier and not later than two known ones.</summary>
    internal void Demand(long atLeast, long atMost, string what)
    {
        string lines = string.Join('\n', Wrong.Take(MaxLines));
        Assert.True(Wrong.Count == 0, $"{what}: {Wrong.Count} blocks are wrong\n{lines}");
        Assert.True(Last >= atLeast, $"{what}: shows the moment after stamp {Last}, but stamp {atLeast} was durable before it was asked for");
        Assert.True(Last <= atMost, $"{what}: shows the moment after stamp {Last}, but only {atMost} had been issued when it was there");
    }
}

/// <summary>Holds a field against what it must have been after exactly some write: no later stamp, no missing earlier one, each where it belongs.</summary>
internal static class StampChecker
{
    private const int ReadSize = 1 << 20;

    /// <summary>Looks at all of a field that begins at a file's start.</summary>
    internal static StampVerdict Check(StampField field, string path)
    {
        List<string> wrong = [];
        long[] found = Read(field, path, wrong);
        DemandPlaces(field, found, wrong);
        long last = found.Max();
        Compare(field, found, last, wrong);
        return new StampVerdict(Math.Max(last, 0), wrong);
    }

    /// <summary>The stamp in each block; -1 for one that holds no whole stamp of this field.</summary>
    private static long[] Read(StampField field, string path, List<string> wrong)
    {
        using SafeFileHandle file = NativeFile.Open(path, OpenMode.ReadOnly);
        long[] found = new long[field.Blocks];
        byte[] buffer = new byte[ReadSize];
        for (long at = 0; at < field.Length; at += buffer.Length)
        {
            Span<byte> part = buffer.AsSpan(0, (int)Math.Min(buffer.Length, field.Length - at));
            NativeFile.ReadExactly(file, part, at);
            for (int offset = 0; offset < part.Length; offset += StampField.BlockSize)
            {
                long block = (at + offset) / StampField.BlockSize;
                if (field.Decode(part.Slice(offset, StampField.BlockSize), out found[block]) is { } trouble)
                {
                    wrong.Add(Line(block, trouble));
                }
            }
        }

        return found;
    }

    private static void DemandPlaces(StampField field, long[] found, List<string> wrong)
    {
        for (int block = 0; block < found.Length; block++)
        {
            if (found[block] > 0 && field.PlaceOf(found[block]) != block)
            {
                wrong.Add(Line(block, $"wrong place: it holds stamp {found[block]}, which belongs in block {field.PlaceOf(found[block])}"));
                found[block] = -1;
            }
        }
    }

    private static void Compare(StampField field, long[] found, long last, List<string> wrong)
    {
        long[] expected = new long[field.Blocks];
        for (long k = 1; k <= last; k++)
        {
            expected[field.PlaceOf(k)] = k;
        }

        long firstMissing = Enumerable.Range(0, found.Length)
            .Where(block => found[block] >= 0 && found[block] != expected[block])
            .Select(block => FirstAfter(field, found[block], block)).DefaultIfEmpty(last).Min();
        for (int block = 0; block < found.Length; block++)
        {
            if (found[block] >= 0 && found[block] != expected[block])
            {
                wrong.Add(Line(block, $"wrong time: it holds stamp {found[block]}, but stamp {expected[block]} came before the last one there, {last}"));
            }
            else if (found[block] > firstMissing)
            {
                wrong.Add(Line(block, $"wrong time: it holds stamp {found[block]}, although stamp {firstMissing} is missing"));
            }
        }
    }

    /// <summary>The first stamp after one that was written to the same block.</summary>
    private static long FirstAfter(StampField field, long k, int block)
    {
        do
        {
            k++;
        }
        while (field.PlaceOf(k) != block);

        return k;
    }

    private static string Line(long block, string trouble) => string.Create(CultureInfo.InvariantCulture, $"  block {block}: {trouble}");
}
