using Quench.Blocks;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Ntfs;

/// <summary>Reads records of the file table and bytes of files, and counts the reads: a search that leads in circles ends by it. Not thread-safe.</summary>
/// <param name="volume">Lent.</param>
/// <param name="table">Where the file table lies.</param>
/// <param name="clusterSize">Bytes.</param>
/// <param name="clusters">Of the file system.</param>
/// <param name="recordSize">Bytes.</param>
/// <param name="mostReads">How many reads there may be.</param>
internal sealed class NtfsRecords(IBlockReader volume, RunList table, int clusterSize, long clusters, int recordSize, long mostReads)
{
    private const int LeastBytesOfRead = 512;

    private readonly long _mostReads = Math.Min(mostReads, volume.Geometry.Length / LeastBytesOfRead);
    private long _reads;

    /// <summary>Whether more was read than may be: what was found so far means nothing then.</summary>
    public bool IsExhausted => _reads > _mostReads;

    /// <summary>Clusters of the file system.</summary>
    public long Clusters => clusters;

    /// <summary>Bytes of one.</summary>
    public int ClusterSize => clusterSize;

    /// <summary>How many records the table has room for.</summary>
    public long Count => table.Length / recordSize;

    /// <summary>Reads a record, in use or not.</summary>
    /// <exception cref="InDoubtException">It is torn, no record, or outside the table.</exception>
    public async ValueTask<byte[]> ReadAsync(long number, CancellationToken cancellationToken)
    {
        Unless(number < Count, $"NTFS record {number} lies outside of the file table");
        byte[] record = new byte[recordSize];
        await ReadBytesAsync(table, number * recordSize, record, "file table", cancellationToken);
        FileRecord.Fix(record, "FILE"u8, "record");
        return record;
    }

    /// <summary>Reads bytes of a file.</summary>
    /// <exception cref="InDoubtException">They lie in a hole or past its end.</exception>
    public async ValueTask ReadBytesAsync(RunList runs, long position, Memory<byte> into, string what, CancellationToken cancellationToken)
    {
        for (int done = 0; done < into.Length;)
        {
            Unless(++_reads <= _mostReads, $"more than {_mostReads} pieces of folders and records would have to be read");
            (long offset, long room) = runs.Locate(position + done, clusterSize, what);
            int take = (int)Math.Min(room, into.Length - done);
            await VolumeBytes.ReadAsync(volume, offset, into.Slice(done, take), cancellationToken);
            done += take;
        }
    }
}
