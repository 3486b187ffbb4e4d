using System.Globalization;
using System.Text.RegularExpressions;
using Quench.Blocks;

namespace Quench.Tests.FileSystems.Btrfs;

/// <summary>What the btrfs programs say of a file system's extents and chunks, put together here once more.</summary>
internal sealed partial class BtrfsWitness
{
    private readonly long _length;
    private readonly int _sector;
    private readonly long _device;
    private readonly List<(long Logical, long Length, long[] Copies)> _chunks;
    private readonly List<(long Logical, long Length)> _extents;

    private BtrfsWitness(string image, string superblock, string chunks, string extents)
    {
        _length = new FileInfo(image).Length;
        _sector = (int)Field(superblock, "sectorsize");
        _device = Field(superblock, "dev_item.total_bytes");
        long node = Field(superblock, "nodesize");
        _chunks = [.. ChunkItem().Matches(chunks).Select(match => (Number(match.Groups[1]), Number(match.Groups[2]), match.Groups[3].Captures.Select(offset => long.Parse(offset.ValueSpan, CultureInfo.InvariantCulture)).ToArray()))];
        _extents = [.. ExtentItem().Matches(extents).Select(match => (Number(match.Groups[1]), match.Groups[2].Value == "EXTENT" ? Number(match.Groups[3]) : node))];
    }

    public static async Task<BtrfsWitness> AskAsync(string image)
    {
        string superblock = await Tool.RunAsync("btrfs", "inspect-internal", "dump-super", image);
        string chunks = await Tool.RunAsync("btrfs", "inspect-internal", "dump-tree", "-t", "chunk", image);
        return new BtrfsWitness(image, superblock, chunks, await Tool.RunAsync("btrfs", "inspect-internal", "dump-tree", "-t", "extent", image));
    }

    /// <summary>The map: all copies of all extents, the superblocks, the first MiB, and what lies after the file system.</summary>
    public UsedBlocks Map()
    {
        UsedBlocks used = WithSuperblocks();
        used.Add(new Extent(0, 1 << 20));
        used.Add(Extent.FromTo(_device, _length));
        _extents.ForEach(extent => Add(used, extent, copies: 2, extent.Length));
        return used;
    }

    /// <summary>The first copies alone, and the superblocks: partclone leaves second copies out.</summary>
    public UsedBlocks FirstCopies()
    {
        UsedBlocks used = WithSuperblocks();
        _extents.ForEach(extent => Add(used, extent, copies: 1, extent.Length));
        return used;
    }

    private UsedBlocks WithSuperblocks()
    {
        UsedBlocks used = new(_length, _sector);
        foreach (long place in new[] { 64L << 10, 64L << 20, 256L << 30 }.Where(place => place + 4096 <= _device))
        {
            used.Add(new Extent(place, 4096));
        }

        return used;
    }

    private void Add(UsedBlocks used, (long Logical, long Length) extent, int copies, long length)
    {
        Chunk(extent.Logical, out long start, out long[] places);
        foreach (long place in places.Take(copies))
        {
            used.Add(new Extent(place + extent.Logical - start, length));
        }
    }

    private void Chunk(long logical, out long start, out long[] copies) =>
        (start, _, copies) = _chunks.First(chunk => logical >= chunk.Logical && logical < chunk.Logical + chunk.Length);

    private static long Number(Group group) => long.Parse(group.ValueSpan, CultureInfo.InvariantCulture);

    private static long Field(string text, string name) =>
        long.Parse(Regex.Match(text, $@"^{Regex.Escape(name)}\s+(\d+)", RegexOptions.Multiline).Groups[1].ValueSpan, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"key \(FIRST_CHUNK_TREE CHUNK_ITEM (\d+)\).*\n\s+length (\d+) .*\n.*\n.*\n(?:\s+stripe \d+ devid \d+ offset (\d+)\n.*\n)+")]
    private static partial Regex ChunkItem();

    // A tree block's own key, which is printed too, may be of an extent that is gone.
    [GeneratedRegex(@"item \d+ key \((\d+) (EXTENT|METADATA)_ITEM (\d+)\)")]
    private static partial Regex ExtentItem();
}
