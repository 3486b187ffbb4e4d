using System.Runtime.CompilerServices;
using System.Text;
using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Xfs.Files;

// The names in a folder; big-endian, but for checksums. (XFS Algorithms & Data Structures, "Directories")
//
//     in the inode   count (1), count of those that need 8 bytes (1), parent (4, or 8 if there are any), then
//                    ├ length of the name (1) ┼ offset (2) ┼ name ┼ kind (1, with ftype) ┼ inode (4 or 8) ┤
//
//     a block        "XD2B"/"XD2D" ─┬ the longest free pieces (12)                                                             version 4: 16 bytes
//                    "XDB3"/"XDD3" ─┬ crc ┬ blkno (8) ┬ lsn (8) ┬ uuid (16) ┬ owner (8) ┬ the longest free pieces (12), 4 more   version 5: 64 bytes
//                    then entries, each a multiple of 8 bytes, that end with their own offset in the block (2)
//                    ├ inode (8) ┼ length of the name (1) ┼ name ┼ kind (1, with ftype) ┼ … ┼ offset ┤
//                    ├ 0xFFFF (2) ┼ length (2) ┼ … ┼ offset ┤     unused
//                    and, where a folder is one block (…B), hashes (8 each), their number (4) and that of the stale ones (4) at the end
//
// Blocks of hashes and of free room lie behind the 32nd gibibyte of the folder: no names stand there.

/// <summary>Reads the names in folders, in the order in which they lie there.</summary>
internal sealed class FolderNames(XfsVolume volume)
{
    private const uint OneBlockV4 = 0x58443242;
    private const uint DataV4 = 0x58443244;
    private const uint OneBlockV5 = 0x58444233;
    private const uint DataV5 = 0x58444433;
    private const ushort Unused = 0xFFFF;
    private const long DataBytes = 1L << 35;

    private int KindSize => volume.Numbers.HasKinds ? 1 : 0;

    private bool HasChecksums => volume.Layout.HasChecksums;

    /// <summary>Reads all names but "." and "..".</summary>
    /// <param name="number">The folder's inode.</param>
    /// <param name="inode">Its bytes, checked.</param>
    /// <param name="cancellationToken">Gives up between reads.</param>
    /// <exception cref="InDoubtException">It is damaged.</exception>
    public async IAsyncEnumerable<FolderEntry> ReadAsync(ulong number, byte[] inode, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (new XfsInode(inode).Format == ForkFormat.Inline)
        {
            foreach (FolderEntry entry in ReadInline(inode, number))
            {
                yield return entry;
            }

            yield break;
        }

        int blockSize = volume.Layout.BlockSize;
        int perBlock = 1 << volume.Numbers.FolderBlockLog;
        byte[] block = new byte[blockSize * perBlock];
        long first = 0;
        long next = 0;
        foreach (DataRun run in await ForkRuns.ReadAsync(volume, inode, number, cancellationToken))
        {
            for (long index = 0; index < run.Count && run.Position + index < DataBytes / blockSize; index++)
            {
                long position = run.Position + index;
                int part = (int)(position % perBlock);
                Unless((part == 0 || position == next) && volume.CanBeData(run.Start + index, 1), $"the folder that is XFS inode {number} is damaged");
                (first, next) = (part == 0 ? run.Start + index : first, position + 1);
                await volume.ReadBlockAsync(run.Start + index, block.AsMemory(part * blockSize, blockSize), cancellationToken);
                if (part == perBlock - 1)
                {
                    foreach (FolderEntry entry in ReadBlock(block, first, number))
                    {
                        yield return entry;
                    }
                }
            }
        }

        Unless(next % perBlock == 0, $"the folder that is XFS inode {number} is damaged");
    }

    private List<FolderEntry> ReadBlock(ReadOnlySpan<byte> block, long place, ulong number)
    {
        uint magic = ReadUInt32BigEndian(block);
        bool isOnly = magic == (HasChecksums ? OneBlockV5 : OneBlockV4);
        Demand(isOnly || magic == (HasChecksums ? DataV5 : DataV4), number);
        Layout layout = volume.Layout;
        Unless(
            !HasChecksums
                || (ReadInt64BigEndian(block[8..]) == place * (layout.BlockSize / Layout.BasicBlock) && block.Slice(0x18, 16).SequenceEqual(layout.MetaUuid)
                    && ReadUInt64BigEndian(block[0x28..]) == number && ReadUInt32LittleEndian(block[4..]) == Crc32c.OfStructure(block, 4)),
            $"a block of the folder that is XFS inode {number} does not match its checksum");
        long end = isOnly ? block.Length - 8 - (8L * ReadUInt32BigEndian(block[^8..])) : block.Length;
        int start = HasChecksums ? 64 : 16;
        Demand(end >= start, number);
        List<FolderEntry> entries = [];
        for (int at = start; at < end;)
        {
            at += Take(block[..(int)end], at, entries, number);
        }

        return entries;
    }

    /// <summary>Takes up one entry.</summary>
    /// <returns>Its bytes.</returns>
    private int Take(ReadOnlySpan<byte> block, int at, List<FolderEntry> into, ulong number)
    {
        ReadOnlySpan<byte> rest = block[at..];
        Demand(rest.Length >= 8, number);
        bool isUnused = ReadUInt16BigEndian(rest) == Unused;
        int name = isUnused || rest.Length < 16 ? 0 : rest[8];
        int length = isUnused ? ReadUInt16BigEndian(rest[2..]) : (9 + name + KindSize + 2 + 7) & ~7;
        Demand(length >= 8 && length % 8 == 0 && length <= rest.Length && (isUnused || (name > 0 && ReadUInt16BigEndian(rest[(length - 2)..]) == at)), number);
        if (!isUnused)
        {
            Add(rest.Slice(9, name), ReadUInt64BigEndian(rest), KindSize == 0 ? (byte)0 : rest[9 + name], into, number);
        }

        return length;
    }

    private List<FolderEntry> ReadInline(byte[] inode, ulong number)
    {
        ReadOnlySpan<byte> fork = new XfsInode(inode).DataFork;
        ulong size = new XfsInode(inode).Size;
        Demand(size <= (ulong)fork.Length && size >= 6, number);
        fork = fork[..(int)size];
        int width = fork[1] > 0 ? 8 : 4;
        List<FolderEntry> entries = [];
        int at = 2 + width;
        for (int index = 0; index < fork[0]; index++)
        {
            int name = at < fork.Length ? fork[at] : 0;
            int length = 3 + name + KindSize + width;
            Demand(name > 0 && length <= fork.Length - at, number);
            ReadOnlySpan<byte> leads = fork.Slice(at + 3 + name + KindSize, width);
            Add(fork.Slice(at + 3, name), width == 8 ? ReadUInt64BigEndian(leads) : ReadUInt32BigEndian(leads), KindSize == 0 ? (byte)0 : fork[at + 3 + name], entries, number);
            at += length;
        }

        return entries;
    }

    private void Add(ReadOnlySpan<byte> name, ulong inode, byte kind, List<FolderEntry> into, ulong number)
    {
        if (name.SequenceEqual("."u8) || name.SequenceEqual(".."u8))
        {
            return;
        }

        Unless(!name.ContainsAny((byte)'/', (byte)0), $"the folder that is XFS inode {number} has a name that can't be");
        into.Add(new FolderEntry(Encoding.UTF8.GetString(name), inode, (EntryKind)kind, volume.Numbers.IgnoresCase));
    }

    private static void Demand(bool isRight, ulong number) => Unless(isRight, $"the folder that is XFS inode {number} is damaged");
}
