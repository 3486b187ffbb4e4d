using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Ntfs;

/// <summary>A run of clusters of a file, or a hole of that length.</summary>
/// <param name="First">Its first cluster; below 0 for a hole.</param>
/// <param name="Count">How many.</param>
internal readonly record struct Run(long First, long Count);

// Runs: a byte whose low half says how many bytes the length has and whose high half how many the distance from the run before has, then the two,
// signed; no distance: a hole; a byte of 0: the end. (Linux-NTFS documentation, "Data Runs")

/// <summary>Where the clusters of a file lie.</summary>
/// <param name="Runs">In the file's order.</param>
/// <param name="Length">Bytes of the file.</param>
internal sealed record RunList(IReadOnlyList<Run> Runs, long Length)
{
    /// <summary>Reads the runs of an attribute.</summary>
    /// <exception cref="InDoubtException">They lead out of the file system or the record.</exception>
    public static RunList Decode(ReadOnlySpan<byte> bytes, long length, long clusters, string what)
    {
        List<Run> runs = [];
        long cluster = 0;
        while (!bytes.IsEmpty && bytes[0] != 0)
        {
            int lengthBytes = bytes[0] & 15;
            int offsetBytes = bytes[0] >> 4;
            bool fits = lengthBytes is > 0 and <= 8 && offsetBytes <= 8 && 1 + lengthBytes + offsetBytes <= bytes.Length;
            Unless(fits, $"the runs of the NTFS {what} make no sense");
            long count = Signed(bytes.Slice(1, lengthBytes));
            long distance = Signed(bytes.Slice(1 + lengthBytes, offsetBytes));
            bool inside = count > 0 && count <= clusters && distance >= -clusters && distance <= clusters;
            cluster = inside ? cluster + distance : cluster;
            Unless(inside && (offsetBytes == 0 || (cluster >= 0 && cluster <= clusters - count)), $"the runs of the NTFS {what} lead out of the file system");
            runs.Add(new Run(offsetBytes == 0 ? -1 : cluster, count));
            bytes = bytes[(1 + lengthBytes + offsetBytes)..];
        }

        return new RunList(runs, length);
    }

    /// <summary>The runs that are no holes.</summary>
    public IEnumerable<DataRun> Data()
    {
        long position = 0;
        foreach (Run run in Runs)
        {
            if (run.First >= 0)
            {
                yield return new DataRun(position, run.First, run.Count);
            }

            position += run.Count;
        }
    }

    /// <summary>Where a byte of the file lies on the volume, and how many more follow it there.</summary>
    /// <exception cref="InDoubtException">It is in a hole or past the end.</exception>
    public (long Offset, long Room) Locate(long position, long clusterSize, string what)
    {
        long left = position;
        foreach (Run run in Runs)
        {
            long length = run.Count * clusterSize;
            if (left < length && run.First >= 0)
            {
                return ((run.First * clusterSize) + left, length - left);
            }

            Unless(left >= length, $"the NTFS {what} has a hole");
            left -= length;
        }

        throw new InDoubtException($"the NTFS {what} is shorter than it should be");
    }

    private static long Signed(ReadOnlySpan<byte> bytes)
    {
        long value = bytes.IsEmpty || (bytes[^1] & 0x80) == 0 ? 0 : -1;
        for (int index = bytes.Length - 1; index >= 0; index--)
        {
            value = (value << 8) | bytes[index];
        }

        return value;
    }
}
