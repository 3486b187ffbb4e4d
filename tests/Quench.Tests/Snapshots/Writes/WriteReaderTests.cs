using System.Buffers.Binary;
using System.Text;
using Quench.Snapshots.Writes;
using Xunit;

namespace Quench.Tests.Snapshots.Writes;

/// <summary>What the programs put into the ring, as events.</summary>
public sealed class WriteReaderTests
{
    private const long Length = 1 << 30;

    private readonly List<WriteEvent> _events = [];
    private readonly WriteReader _reader = new(Length, isBtrfs: false, new MonotonicTime(TimeProvider.System));

    [Fact]
    public void A_path_is_put_together_from_its_parts_and_belongs_to_its_file_and_generation()
    {
        Part(5, 1, 100, 0, "name");
        Part(6, 1, 101, 0, "other");
        Part(5, 1, 100, 1, "folder");
        Part(6, 1, 101, 1, "", isRoot: true);
        Part(5, 1, 100, 2, "/", isRoot: true);
        Event(5, 1);
        Event(6, 1);
        Event(5, 2);
        Assert.Equal(["/folder/name", "/other", null], _events.Select(one => one.File.Path));
    }

    [Fact]
    public void A_path_that_was_told_in_part_only_is_told_anew_from_its_end()
    {
        Part(5, 1, 100, 0, "lost");
        Part(5, 1, 200, 0, "name");
        Part(5, 1, 200, 1, "/", isRoot: true);
        Event(5, 1);
        Assert.Equal("/name", _events[0].File.Path);
    }

    [Fact]
    public void A_very_deep_path_shows_its_end()
    {
        for (int depth = 0; depth < WriteProgram.PathDepth; depth++)
        {
            Part(5, 1, 100, depth, $"{depth}");
        }

        Event(5, 1);
        Assert.StartsWith("…/19/18/", _events[0].File.Path, StringComparison.Ordinal);
        Assert.EndsWith("/1/0", _events[0].File.Path, StringComparison.Ordinal);
    }

    [Fact]
    public void One_process_and_one_file_are_one_object()
    {
        Event(5, 1);
        Event(5, 1);
        Assert.Same(_events[0].Process, _events[1].Process);
        Assert.Same(_events[0].File, _events[1].File);
        Assert.Equal(("writer", 42, false), (_events[0].Process.Name, _events[0].Process.Id, _events[0].Process.IsKernel));
    }

    [Theory]
    [InlineData(-4096, 8192, 0, 4096)]
    [InlineData(Length - 512, 4096, Length - 512, 512)]
    [InlineData(8192, 4096, 8192, 4096)]
    public void A_request_that_goes_over_the_volume_s_ends_counts_for_what_lies_in_it(long offset, long bytes, long start, long length)
    {
        Event(5, 1, offset: offset, bytes: bytes);
        Assert.Equal((start, length), (_events[0].Offset, _events[0].Length));
    }

    [Theory]
    [InlineData(1, 4096, WriteKind.Write)]
    [InlineData(1, 0, WriteKind.Flush)]
    [InlineData(7, 4096, WriteKind.Write)]
    [InlineData(3, 4096, WriteKind.Discard)]
    [InlineData(5, 4096, WriteKind.Discard)]
    [InlineData(9, 4096, WriteKind.Zero)]
    [InlineData(13, 4096, WriteKind.Other)]
    public void Operations_have_their_kinds(int operation, long bytes, WriteKind kind)
    {
        Event(5, 1, operation: operation, bytes: bytes);
        Assert.Equal(kind, _events[0].Kind);
    }

    [Fact]
    public void Whom_nobody_knows_is_nobody_and_a_strange_record_is_counted()
    {
        Event(5, 1, how: WriteRecord.Nobody);
        _reader.Take(new byte[17], _events);
        Assert.Same(WritingProcess.Unknown, Assert.Single(_events).Process);
        Assert.Equal(1, _reader.Foreign);
    }

    [Fact]
    public void The_trees_of_btrfs_are_no_file()
    {
        WriteReader btrfs = new(Length, isBtrfs: true, new MonotonicTime(TimeProvider.System));
        btrfs.Take(Bytes(1, 1, 0, 4096, 1, WriteRecord.PageWriter), _events);
        btrfs.Take(Bytes(257, 1, 0, 4096, 1, WriteRecord.PageWriter), _events);
        Assert.Equal([WrittenKind.Metadata, WrittenKind.File], _events.Select(one => one.File.Kind));
    }

    private void Event(ulong inode, uint generation, long offset = 0, long bytes = 4096, int operation = 1, int how = WriteRecord.Sender) =>
        _reader.Take(Bytes(inode, generation, offset, bytes, operation, how), _events);

    private static byte[] Bytes(ulong inode, uint generation, long offset, long bytes, int operation, int how)
    {
        byte[] record = new byte[WriteRecord.EventBytes];
        BinaryPrimitives.WriteInt32LittleEndian(record, WriteRecord.Event);
        BinaryPrimitives.WriteInt32LittleEndian(record.AsSpan(4), operation);
        BinaryPrimitives.WriteInt64LittleEndian(record.AsSpan(16), offset);
        BinaryPrimitives.WriteInt64LittleEndian(record.AsSpan(24), bytes);
        BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(32), inode);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(44), generation);
        BinaryPrimitives.WriteInt32LittleEndian(record.AsSpan(48), WriteRecord.File);
        BinaryPrimitives.WriteInt32LittleEndian(record.AsSpan(52), how);
        BinaryPrimitives.WriteInt32LittleEndian(record.AsSpan(56), 42);
        Encoding.ASCII.GetBytes("writer", record.AsSpan(64));
        return record;
    }

    private void Part(ulong inode, uint generation, ulong time, int depth, string text, bool isRoot = false)
    {
        byte[] record = new byte[WriteRecord.PathBytes];
        BinaryPrimitives.WriteInt32LittleEndian(record, WriteRecord.PathPart);
        BinaryPrimitives.WriteInt32LittleEndian(record.AsSpan(4), isRoot ? 1 : 0);
        BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(8), time);
        BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(16), inode);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(28), generation);
        BinaryPrimitives.WriteInt32LittleEndian(record.AsSpan(32), depth);
        Encoding.UTF8.GetBytes(text, record.AsSpan(WriteRecord.TextAt));
        _reader.Take(record, _events);
    }
}
