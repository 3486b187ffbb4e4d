using System.Globalization;
using Quench.Snapshots.Writes;
using Quench.SystemTests.Harness;
using Quench.SystemTests.Tracked;
using Xunit;

namespace Quench.SystemTests.Activity;

/// <summary>A known process writes known bytes of a known file, in each of the ways that there are; the watch says just that, or says what it can't know.</summary>
public sealed class WriteWatchTests
{
    private const long Length = 320L << 20;
    private const long Written = 3L << 20;

    public static TheoryData<string> Kinds { get; } = [.. MountedLoop.Kinds().Select(kind => kind.ToString())];

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task What_a_process_writes_and_makes_durable_is_its_own(string kind)
    {
        await using WatchedLoop loop = await WatchedLoop.CreateAsync(Enum.Parse<VolumeKind>(kind), Length);
        await Tool.RunAsync("dd", "if=/dev/urandom", $"of={loop["one/deep/fsync.bin"]}", "bs=64k", "count=48", "conv=fsync");
        loop.DemandWritten("/one/deep/fsync.bin", "dd", WriterEvidence.Pages, Written);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task What_the_kernel_writes_back_later_is_its_process_s_own(string kind)
    {
        await using WatchedLoop loop = await WatchedLoop.CreateAsync(Enum.Parse<VolumeKind>(kind), Length);
        await Tool.RunAsync("dd", "if=/dev/urandom", $"of={loop["later.bin"]}", "bs=64k", "count=48");
        await loop.SyncAsync();
        loop.DemandWritten("/later.bin", "dd", WriterEvidence.Pages, Written);
        Assert.DoesNotContain(loop.Events, one => one.Process.Name == "sync" && one.File.Path == "/later.bin");
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_direct_write_is_its_process_s_own(string kind)
    {
        await using WatchedLoop loop = await WatchedLoop.CreateAsync(Enum.Parse<VolumeKind>(kind), Length);
        await Tool.RunAsync("dd", "if=/dev/urandom", $"of={loop["direct.bin"]}", "bs=64k", "count=48", "oflag=direct", "iflag=fullblock");
        long known = loop.Sum(one => one.Kind == WriteKind.Write && one.Process.Name == "dd" && one.File.Path == "/direct.bin");
        Assert.True(known == Written, loop.Told); // btrfs sends what has checksums through its cache since Linux 6.15
        Assert.Equal(default, loop.Watch.Losses);
    }

    [Fact]
    public async Task A_direct_write_that_btrfs_sends_past_its_cache_is_its_process_s_own_and_its_file_is_not_known()
    {
        await using WatchedLoop loop = await WatchedLoop.CreateAsync(VolumeKind.Btrfs, Length, mountOptions: "nodatasum");
        await Tool.RunAsync("dd", "if=/dev/urandom", $"of={loop["direct.bin"]}", "bs=64k", "count=48", "oflag=direct", "iflag=fullblock");
        Assert.True(loop.Sum(one => one is { Kind: WriteKind.Write, Process.Name: "dd", Evidence: WriterEvidence.Sent, File.Kind: WrittenKind.Unknown }) == Written, loop.Told);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task What_is_stored_into_mapped_memory_is_its_process_s_own(string kind)
    {
        Requires.Tool("fio");
        await using WatchedLoop loop = await WatchedLoop.CreateAsync(Enum.Parse<VolumeKind>(kind), Length);
        await Tool.RunAsync("dd", "if=/dev/zero", $"of={loop["mapped.bin"]}", "bs=64k", "count=32", "conv=fsync");
        loop.Forget();
        await Tool.RunAsync("fio", "--name=m", $"--filename={loop["mapped.bin"]}", "--ioengine=mmap", "--rw=write", "--bs=4k", "--size=2M", "--end_fsync=1", "--output=/dev/null", "--thread");
        loop.DemandWritten("/mapped.bin", "fio", WriterEvidence.Pages, 2 << 20);
    }

    [Fact]
    public async Task Two_processes_that_write_parts_of_one_file_are_told_apart()
    {
        await using WatchedLoop loop = await WatchedLoop.CreateAsync(VolumeKind.Ext4, Length);
        await Tool.RunAsync("dd", "if=/dev/urandom", $"of={loop["shared.bin"]}", "bs=4k", "count=64", "oflag=direct", "iflag=fullblock"); // nothing of it in the cache, so that it comes in as single pages
        loop.Forget();
        string copy = loop.Loop.Scratch + "/other";
        File.Copy("/bin/dd", copy);
        File.SetUnixFileMode(copy, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        for (int page = 0; page < 64; page++)
        {
            string seek = string.Create(CultureInfo.InvariantCulture, $"seek={page}");
            await Tool.RunAsync(page % 4 == 0 ? copy : "dd", "if=/dev/urandom", $"of={loop["shared.bin"]}", "bs=4k", "count=1", "conv=notrunc", seek);
        }

        await loop.SyncAsync();
        Assert.True(loop.Sum(one => one.File.Path == "/shared.bin" && one.Process.Name == "other") == 16 * 4096, loop.Told);
        Assert.True(loop.Sum(one => one.File.Path == "/shared.bin" && one.Process.Name == "dd") == 48 * 4096, loop.Told);
    }

    [Fact]
    public async Task What_one_process_adds_to_pages_that_another_made_dirty_counts_for_the_first()
    {
        await using WatchedLoop loop = await WatchedLoop.CreateAsync(VolumeKind.Ext4, Length);
        await Tool.RunAsync("dd", "if=/dev/urandom", $"of={loop["shared.bin"]}", "bs=4k", "count=1");
        await Tool.RunAsync("sh", "-c", $"printf x 1<> {loop["shared.bin"]}; printf y > {loop["other.bin"]}"); // into the page that waits, and into one of its own
        await loop.SyncAsync();
        Assert.True(loop.Sum(one => one.File.Path == "/shared.bin" && one.Process.Name == "dd") == 4096, loop.Told);
        Assert.True(loop.Sum(one => one.File.Path == "/shared.bin" && one.Process.Name == "sh") == 0, loop.Told);
        Assert.True(loop.Sum(one => one.File.Path == "/other.bin" && one.Process.Name == "sh") is >= 1024 and <= 4096, loop.Told); // a block of the file system
    }

    [Fact]
    public async Task A_file_has_the_name_under_which_it_was_written_last()
    {
        await using WatchedLoop loop = await WatchedLoop.CreateAsync(VolumeKind.Ext4, Length);
        await Tool.RunAsync("dd", "if=/dev/urandom", $"of={loop["new.tmp"]}", "bs=64k", "count=1", "conv=fsync");
        Assert.Equal("/new.tmp", loop.Last(WriteKind.Write, WrittenKind.File).Path);
        await Tool.RunAsync("mv", loop["new.tmp"], loop["one/final.txt"]);
        await Tool.RunAsync("dd", "if=/dev/urandom", $"of={loop["one/final.txt"]}", "bs=64k", "count=1", "conv=fsync,notrunc");
        Assert.Equal("/one/final.txt", loop.Last(WriteKind.Write, WrittenKind.File).Path);
    }

    [Fact]
    public async Task Discards_and_flushes_are_told_with_who_sent_them()
    {
        Requires.Tool("fstrim");
        await using WatchedLoop loop = await WatchedLoop.CreateAsync(VolumeKind.Ext4, Length);
        await Tool.RunAsync("fstrim", loop.Loop.MountPoint);
        await Tool.RunAsync("dd", "if=/dev/urandom", $"of={loop["flushed.bin"]}", "bs=4k", "count=1", "conv=fsync");
        await Tool.RunAsync("dd", "if=/dev/urandom", $"of={loop["flushed.bin"]}", "bs=4k", "count=1", "conv=notrunc,fdatasync"); // needs no commit of the journal, which would flush with its own block
        Assert.Contains(loop.Events, one => one is { Kind: WriteKind.Discard, Process.Name: "fstrim", Length: > 1 << 20 });
        Assert.Contains(loop.Events, one => one is { Kind: WriteKind.Flush, Length: 0, Process.Name: "dd" });
    }

    [Fact]
    public async Task A_flood_that_finds_no_room_is_counted_to_the_last_event()
    {
        const int Count = 2000;
        await using WatchedLoop loop = await WatchedLoop.CreateAsync(VolumeKind.Ext4, Length, new WriteWatchOptions { RingBytes = 4096 });
        await Tool.RunAsync("dd", "if=/dev/urandom", $"of={loop["flood.bin"]}", "bs=4k", "count=2000", "conv=fsync");
        loop.Forget();
        WriteLosses before = loop.Watch.Losses;
        await Tool.RunAsync("dd", "if=/dev/urandom", $"of={loop["flood.bin"]}", "bs=4k", "count=2000", "oflag=direct", "conv=notrunc", "iflag=fullblock");
        long heard = loop.Events.Count(one => one is { Kind: WriteKind.Write, Process.Name: "dd" });
        WriteLosses losses = loop.Watch.Losses;
        Assert.True(losses.MayMissWrites);
        Assert.InRange(heard, 1, Count - 1);
        Assert.InRange(heard + losses.Events - before.Events, Count, Count + 64); // the journal's and the metadata's may be among the lost
        Assert.InRange(losses.Bytes - before.Bytes, (Count - heard) * 4096, (Count - heard + 1024) * 4096);
    }

    [Fact]
    public async Task Nothing_but_the_named_volume_is_told_of()
    {
        await using WatchedLoop loop = await WatchedLoop.CreateAsync(VolumeKind.Ext4, Length);
        await loop.SyncAsync();
        loop.Forget();
        string outside = Path.Combine(loop.Loop.Scratch, "outside.bin");
        await Tool.RunAsync("dd", "if=/dev/urandom", $"of={outside}", "bs=64k", "count=48", "conv=fsync");
        Assert.DoesNotContain(loop.Events, one => one.Kind == WriteKind.Write && one.File.Kind == WrittenKind.File);
        Assert.Equal(default, loop.Watch.Losses);
    }
}
