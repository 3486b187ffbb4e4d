using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Interop.Linux;
using Xunit;

namespace Quench.Tests.Blocks.Devices;

public sealed class DiskTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void A_path_with_nothing_behind_it_is_named() =>
        Fails("BLOCK-101", () => Disk.Open(_directory["none"], DeviceAccess.Read, exclusive: true), "none");

    [Fact]
    public void A_directory_is_not_a_disk() =>
        Fails("BLOCK-102", () => Disk.Open(_directory.Path, DeviceAccess.Read, exclusive: true), _directory.Path);

    [Fact]
    public void A_file_is_not_a_block_device() =>
        Fails("BLOCK-102", () => RawDevice.Open(NewFile(512), DeviceAccess.Read, exclusive: true), "not a block device");

    [Fact]
    public void A_pipe_end_or_terminal_is_not_a_disk() =>
        Fails("BLOCK-102", () => Disk.Open("/dev/null", DeviceAccess.Read, exclusive: true), "/dev/null");

    [Fact]
    public async Task A_file_that_somebody_writes_is_in_use()
    {
        string path = NewFile(4096);
        using (File.OpenWrite(path))
        {
            Fails("BLOCK-103", () => Disk.Open(path, DeviceAccess.Read, exclusive: true), "in use");
        }

        await Disk.Open(path, DeviceAccess.Read, exclusive: true).DisposeAsync();
    }

    [Fact]
    public async Task A_file_that_somebody_reads_may_be_read_but_not_taken_for_writing()
    {
        string path = NewFile(4096);
        using FileStream reader = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        await Disk.Open(path, DeviceAccess.Read, exclusive: true).DisposeAsync();
        Fails("BLOCK-103", () => Disk.Open(path, DeviceAccess.ReadWrite, exclusive: true), "in use");
    }

    [Fact]
    public async Task A_file_under_a_loop_device_is_in_use()
    {
        await using LoopDevice loop = await LoopDevice.AttachAsync(1024 * 1024);
        string file = (await Tool.DemandAsync("losetup", "--noheadings", "--output", "BACK-FILE", loop.Path)).Trim();
        Fails("BLOCK-103", () => Disk.Open(file, DeviceAccess.ReadWrite, exclusive: true), "in use");
    }

    [Fact]
    public async Task A_claimed_device_is_in_use()
    {
        await using LoopDevice loop = await LoopDevice.AttachAsync(1024 * 1024);
        await using (Disk claimed = Disk.Open(loop.Path, DeviceAccess.ReadWrite, exclusive: true))
        {
            Assert.IsType<RawDevice>(claimed);
            Fails("BLOCK-103", () => Disk.Open(loop.Path, DeviceAccess.Read, exclusive: true), loop.Path);
        }

        await using Disk again = Disk.Open(loop.Path, DeviceAccess.Read, exclusive: true);
        Assert.Equal(1024 * 1024, again.Geometry.Length);
    }

    [Fact]
    public void A_new_image_never_takes_the_place_of_a_file() =>
        Fails("BLOCK-106", () => ImageFile.CreateNew(NewFile(1), 4096), "exists already");

    [Fact]
    public void A_new_image_that_cannot_be_that_long_leaves_nothing_behind()
    {
        string path = _directory["huge"];
        Fails("BLOCK-107", () => ImageFile.CreateNew(path, long.MaxValue), "huge");
        Assert.False(File.Exists(path));
    }

    [Fact]
    public async Task A_disk_opened_for_reading_refuses_every_change()
    {
        await using Disk disk = Disk.Open(NewFile(8192), DeviceAccess.Read, exclusive: true);
        byte[] bytes = new byte[4096];
        Assert.Throws<NotSupportedException>(() => disk.Write(0, bytes));
        Assert.Throws<NotSupportedException>(() => disk.TryZero(new Extent(0, 4096)));
        Assert.Throws<NotSupportedException>(() => disk.TryDiscard(new Extent(0, 4096)));
        await Assert.ThrowsAsync<NotSupportedException>(async () => await disk.WriteAsync(0, bytes, Token));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_length_that_is_not_whole_sectors_keeps_its_last_bytes(bool direct)
    {
        const int Length = 10_000;
        byte[] content = TestSeed.NewRandom().NextBytes(Length);
        await using (ImageFile disk = ImageFile.CreateNew(_directory["odd.img"], Length, direct))
        {
            await disk.WriteAsync(0, content, Token);
            byte[] tail = new byte[Length - 8192];
            disk.Read(8192, tail);
            Assert.True(content.AsSpan(8192).SequenceEqual(tail));
            content[^1] ^= 1;
            disk.Write(8192, content.AsSpan(8192));
            byte[] whole = new byte[Length];
            disk.Read(0, whole);
            Assert.True(content.AsSpan().SequenceEqual(whole));
            disk.Flush();
        }

        Assert.Equal(content, await File.ReadAllBytesAsync(_directory["odd.img"], Token));
    }

    [Fact]
    public async Task Holes_are_known_and_made()
    {
        const int Length = 8 * 1024 * 1024;
        string path = _directory["sparse.img"];
        await using ImageFile disk = ImageFile.CreateNew(path, Length);
        Assert.Equal([new MappedExtent(new Extent(0, Length), ExtentKind.Zero)], await disk.MapAsync(disk.Geometry.Whole, Token));
        disk.Write(1024 * 1024, new byte[1024 * 1024]);
        Assert.Equal(3, (await disk.MapAsync(disk.Geometry.Whole, Token)).Count);
        disk.Zero(new Extent(1024 * 1024, 1024 * 1024));
        Assert.True(NativeFile.TryGetStatus(path)!.Value.AllocatedBytes < 64 * 1024, "zeroing gives the storage back");
    }

    [Fact]
    public async Task A_file_cut_short_behind_our_back_is_an_error_not_zeros()
    {
        string path = NewFile(64 * 1024);
        await using ImageFile disk = ImageFile.Open(path, DeviceAccess.Read, exclusive: true);
        using (FileStream other = new(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            other.SetLength(4096);
        }

        await Assert.ThrowsAsync<EndOfStreamException>(async () => await disk.ReadAsync(0, new byte[16 * 1024], Token));
    }

    [Fact]
    public async Task A_closed_disk_refuses_politely()
    {
        ImageFile disk = ImageFile.Open(NewFile(4096), DeviceAccess.Read, exclusive: true);
        await disk.DisposeAsync();
        Assert.Throws<ObjectDisposedException>(() => disk.Read(0, new byte[4096]));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await disk.ReadAsync(0, new byte[4096], Token));
    }

    private string NewFile(int length)
    {
        string path = _directory[$"file-{length}-{Guid.NewGuid():N}"];
        File.WriteAllBytes(path, new byte[length]);
        return path;
    }

    private static void Fails(string code, Func<object> open, string mentions)
    {
        QuenchException failure = Assert.Throws<QuenchException>(open);
        Assert.Equal(code, failure.Code);
        Assert.Contains(mentions, failure.Message, StringComparison.Ordinal);
        Assert.False(string.IsNullOrEmpty(failure.Next));
    }
}
