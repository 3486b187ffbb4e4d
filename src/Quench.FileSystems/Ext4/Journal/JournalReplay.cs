using Quench.Blocks;
using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Ext4.Journal;

/// <summary>
/// Works out what replaying the journal would write, without writing it. The log is read once from its start: what a transaction writes and
/// revokes is gathered, and taken up when its commit block is there. The first block that does not continue the sequence is the end.
/// </summary>
internal sealed class JournalReplay
{
    private const int BlocksInOneRead = 64;
    private readonly Layout _layout;
    private readonly FileBlocks _file;
    private readonly IBlockReader _volume;
    private readonly ReplayedBlocks _replayed = new();

    private readonly List<(long Block, JournaledBlock Stored)> _written = []; // of the transaction being read
    private readonly List<long> _revoked = [];                                // of the transaction being read
    private bool _damaged;                                                    // a copy in the transaction being read is not what was written

    private readonly byte[] _window;   // consecutive blocks of the journal
    private long _windowStart;         // the position of its first block
    private long _windowCount;         // how many it holds

    private JournalFeatures _features;
    private bool _checksums;
    private uint _seed;
    private uint _first;
    private uint _end;
    private long _position; // the next block of the log
    private long _visited;  // blocks read so far; the log is not longer than the journal

    private JournalReplay(IBlockReader volume, Layout layout, FileBlocks file)
    {
        _volume = volume;
        _layout = layout;
        _file = file;
        _window = new byte[BlocksInOneRead * layout.BlockSize];
    }

    /// <summary>Reads the journal of a file system that needs recovery, whose blocks the reader gives as they are on disk now.</summary>
    /// <exception cref="InDoubtException">The journal is on another device, is damaged, or uses a feature not known here.</exception>
    public static async ValueTask<ReplayedBlocks> RunAsync(
        IBlockReader volume, Layout layout, MetadataReader reader, CancellationToken cancellationToken)
    {
        Unless(layout.JournalInode != 0, "the ext4 file system needs recovery and its journal is on another device");
        FileBlocks file = await FileBlocks.ReadAsync(layout, reader, layout.JournalInode, cancellationToken);
        Unless(file.Count > 0, "the ext4 journal is empty");
        JournalReplay replay = new(volume, layout, file);
        uint? sequence = replay.Open((await replay.ReadAsync(0, cancellationToken)).Span);
        while (sequence is { } current)
        {
            sequence = await replay.StepAsync(current, cancellationToken);
        }

        return replay._replayed;
    }

    /// <summary>Reads the journal's superblock: the first sequence number to look for, null when the log is empty.</summary>
    private uint? Open(ReadOnlySpan<byte> block)
    {
        JournalSuperblock superblock = new(block);
        superblock.Require(_layout.BlockSize, _file.Count);
        _features = superblock.Features;
        _checksums = superblock.HasChecksums;
        _seed = superblock.ChecksumSeed;
        _first = superblock.First;
        _end = superblock.Blocks;
        _position = superblock.Start;
        return superblock.Start == 0 ? null : superblock.Sequence;
    }

    /// <summary>Reads one block of the log and what belongs to it. The sequence number to look for next; null at the end.</summary>
    private async ValueTask<uint?> StepAsync(uint sequence, CancellationToken cancellationToken)
    {
        ReadOnlyMemory<byte> block = await NextAsync(cancellationToken);
        (uint magic, JournalBlockType type, uint stated) = Header(block.Span);
        if (magic != JournalBlock.ExpectedMagic || stated != sequence)
        {
            return null;
        }

        switch (type)
        {
            case JournalBlockType.Descriptor:
                await TakeDescriptorAsync(block.ToArray(), sequence, cancellationToken);
                return sequence;
            case JournalBlockType.Revoke:
                TakeRevocations(block.Span, sequence);
                return sequence;
            case JournalBlockType.Commit:
                Commit(block.Span, sequence);
                return unchecked(sequence + 1);
            default:
                return null;
        }
    }

    private static (uint Magic, JournalBlockType Type, uint Sequence) Header(ReadOnlySpan<byte> block)
    {
        JournalBlock header = new(block);
        return (header.Magic, header.Type, header.Sequence);
    }

    private async ValueTask TakeDescriptorAsync(byte[] block, uint sequence, CancellationToken cancellationToken)
    {
        RequireTail(block, sequence);
        int end = block.Length - (_checksums ? JournalBlock.TailSize : 0);
        int size = JournalTag.SizeUnder(_features);
        for (int at = JournalBlock.HeaderSize; at + size <= end;)
        {
            long position = _position;
            ReadOnlyMemory<byte> copy = await NextAsync(cancellationToken);
            JournalTag tag = new(block.AsSpan(at), _features);
            _damaged |= !tag.Matches(copy.Span, _seed, sequence);
            Unless(tag.Block < (ulong)_layout.Blocks, $"transaction {sequence} of the ext4 journal writes outside the file system");
            Unless(_written.Count < ReplayedBlocks.Limit, $"transaction {sequence} of the ext4 journal is larger than Quench keeps track of");
            _written.Add(((long)tag.Block, new JournaledBlock(_file.At(position).Block, tag.IsEscaped)));
            at = tag.IsLast ? end : at + tag.Step;
        }
    }

    private void TakeRevocations(ReadOnlySpan<byte> block, uint sequence)
    {
        RequireTail(block, sequence);
        uint used = new JournalBlock(block).RevokeBytes;
        Unless(
            used >= JournalBlock.HeaderSize + 4 && used <= block.Length - (_checksums ? JournalBlock.TailSize : 0),
            $"a revocation block of transaction {sequence} of the ext4 journal is damaged");
        int size = (_features & JournalFeatures.SixtyFourBit) != 0 ? 8 : 4;
        for (int at = JournalBlock.HeaderSize + 4; at + size <= used; at += size)
        {
            ulong revoked = size == 8 ? ReadUInt64BigEndian(block[at..]) : ReadUInt32BigEndian(block[at..]);
            _revoked.Add((long)Math.Min(revoked, long.MaxValue));
        }

        Unless(_revoked.Count <= ReplayedBlocks.Limit, $"transaction {sequence} of the ext4 journal revokes more than Quench keeps track of");
    }

    private void Commit(ReadOnlySpan<byte> block, uint sequence)
    {
        Unless(!_checksums || new JournalBlock(block).HasCommitChecksum(_seed), $"the commit of transaction {sequence} of the ext4 journal does not match its checksum");
        Unless(!_damaged, $"a block in transaction {sequence} of the ext4 journal does not match its checksum");
        _replayed.Apply(_written, _revoked);
        _written.Clear();
        _revoked.Clear();
    }

    private void RequireTail(ReadOnlySpan<byte> block, uint sequence) =>
        Unless(!_checksums || new JournalBlock(block).HasTailChecksum(_seed), $"a block of transaction {sequence} of the ext4 journal does not match its checksum");

    /// <summary>The next block of the log, valid until the next call.</summary>
    private async ValueTask<ReadOnlyMemory<byte>> NextAsync(CancellationToken cancellationToken)
    {
        Unless(_visited++ <= _end, "the log of the ext4 journal goes round in a circle");
        ReadOnlyMemory<byte> block = await ReadAsync(_position, cancellationToken);
        _position = _position + 1 == _end ? _first : _position + 1;
        return block;
    }

    private async ValueTask<ReadOnlyMemory<byte>> ReadAsync(long position, CancellationToken cancellationToken)
    {
        if (position < _windowStart || position >= _windowStart + _windowCount)
        {
            (long block, long consecutive) = _file.At(position);
            _windowCount = Math.Min(consecutive, BlocksInOneRead);
            _windowStart = position;
            await VolumeBytes.ReadAsync(_volume, block * _layout.BlockSize, _window.AsMemory(0, (int)_windowCount * _layout.BlockSize), cancellationToken);
        }

        return _window.AsMemory((int)(position - _windowStart) * _layout.BlockSize, _layout.BlockSize);
    }
}
