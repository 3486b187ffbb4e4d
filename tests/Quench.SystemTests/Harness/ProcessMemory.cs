using System.Globalization;

namespace Quench.SystemTests.Harness;

/// <summary>The memory of another process, as a debugger of root's sees it. (proc(5), maps and mem)</summary>
internal static class ProcessMemory
{
    private const int Piece = 1 << 20;

    /// <summary>How often some bytes lie in the writable memory of a process, and how much was looked at.</summary>
    internal static (int Hits, long Bytes) Count(int process, params byte[][] needles)
    {
        int hits = 0;
        long bytes = 0;
        int longest = needles.Max(needle => needle.Length);
        using FileStream memory = new($"/proc/{process}/mem", FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
        byte[] piece = new byte[Piece + longest];
        foreach ((long start, long end) in Writable(process))
        {
            for (long at = start; at < end; at += Piece)
            {
                int length = Read(memory, at, piece.AsSpan(0, (int)Math.Min(piece.Length, end - at)));
                bytes += Math.Min(length, Piece);
                hits += needles.Sum(needle => CountIn(piece.AsSpan(0, length), needle));
            }
        }

        return (hits, bytes);
    }

    private static List<(long Start, long End)> Writable(int process)
    {
        List<(long, long)> ranges = [];
        foreach (string line in File.ReadLines($"/proc/{process}/maps"))
        {
            string[] parts = line.Split(' ');
            string[] range = parts[0].Split('-');
            if (parts[1].StartsWith("rw", StringComparison.Ordinal) && long.TryParse(range[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture, out long start)
                && long.TryParse(range[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture, out long end))
            {
                ranges.Add((start, end));
            }
        }

        return ranges;
    }

    private static int Read(FileStream memory, long at, Span<byte> into)
    {
        try
        {
            memory.Position = at;
            return memory.Read(into);
        }
        catch (IOException)
        {
            return 0; // a range that nothing lies behind
        }
    }

    private static int CountIn(ReadOnlySpan<byte> where, ReadOnlySpan<byte> needle)
    {
        int count = 0;
        for (int at = where.IndexOf(needle); at >= 0; at = where.IndexOf(needle))
        {
            count++;
            where = where[(at + 1)..];
        }

        return count;
    }
}
