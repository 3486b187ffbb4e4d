using Quench.Blocks;
using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.FileSystems.Swap;

// The first page of Linux swap; numbers in the byte order of the machine that made it. (Linux include/linux/swap.h, union swap_header)
//
//     0x000  1024 bytes for a boot block
//     0x400  version 1 ─┬ last page ──┬ bad pages ──┬ uuid (16) ┬ label (16) ┬ reserved ┬ list of bad pages
//     the page's last ten bytes: "SWAPSPACE2", or another mark while the machine's memory lies in it

/// <summary>Linux swap: only its first page means anything after a restart. One that holds a sleeping machine's memory is kept whole.</summary>
internal sealed class SwapAnalyser : IFileSystemAnalyser
{
    private const int MarkSize = 10;
    private const int Header = 1024;
    private const int LeastPage = 4096;
    private const int MostPage = 65536;
    private static readonly byte[] s_mark = [.. "SWAPSPACE2"u8];
    private static readonly byte[][] s_asleep = [[.. "S1SUSPEND\0"u8], [.. "S2SUSPEND\0"u8], [.. "ULSUSPEND\0"u8], [.. "LINHIB0001"u8]];

    /// <inheritdoc/>
    public string Name => "swap";

    /// <inheritdoc/>
    public string Tenant => "Linux swap";

    /// <inheritdoc/>
    public async ValueTask<VolumeAnalysis?> TryAnalyseAsync(IBlockReader volume, VolumeCondition condition, CancellationToken cancellationToken)
    {
        long length = volume.Geometry.Length;
        byte[] start = new byte[Math.Min(length, MostPage)];
        await VolumeBytes.ReadAsync(volume, 0, start, cancellationToken);
        for (int page = LeastPage; page <= start.Length; page *= 2)
        {
            byte[] mark = start[(page - MarkSize)..page];
            if (mark.AsSpan().SequenceEqual(s_mark))
            {
                return Analyse(start, page, length);
            }

            if (s_asleep.Any(asleep => mark.AsSpan().SequenceEqual(asleep)))
            {
                return VolumeAnalysis.AllInUse(length, Facts(start, page), "the swap space holds the memory of a machine that sleeps");
            }
        }

        return null;
    }

    private static VolumeAnalysis Analyse(byte[] start, int page, long length)
    {
        FileSystemFacts facts = Facts(start, page);
        if (facts.Length == 0 || facts.Length > length)
        {
            return VolumeAnalysis.AllInUse(length, facts, "the swap header is of another version, or longer than its volume");
        }

        UsedBlocks used = new(length, page);
        used.Add(new Extent(0, page));
        used.Add(Extent.FromTo(facts.Length, length));
        return new VolumeAnalysis(facts, used, Doubt: null);
    }

    private static FileSystemFacts Facts(byte[] start, int page)
    {
        ReadOnlySpan<byte> header = start.AsSpan(Header);
        bool isReversed = ReadUInt32LittleEndian(header) == 0x0100_0000;
        uint lastPage = isReversed ? ReadUInt32BigEndian(header[4..]) : ReadUInt32LittleEndian(header[4..]);
        bool isKnown = isReversed || ReadUInt32LittleEndian(header) == 1;
        long length = isKnown && lastPage > 0 ? (lastPage + 1L) * page : 0;
        return new FileSystemFacts("swap", VolumeText.Label(header.Slice(28, 16)), VolumeText.Uuid(header.Slice(12, 16)), page, length, FileSystemState.Clean);
    }
}
