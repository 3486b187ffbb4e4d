using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Xunit;

namespace Quench.Tests.Interop;

public sealed class NativeFileTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void A_failed_call_names_itself_its_subject_and_the_reason()
    {
        LinuxErrorException failure = Assert.Throws<LinuxErrorException>(() => NativeFile.Open(_directory["none"], OpenMode.ReadOnly));
        Assert.Equal(Errno.ENOENT, failure.Errno);
        Assert.Contains("open", failure.Message, StringComparison.Ordinal);
        Assert.Contains(_directory["none"], failure.Message, StringComparison.Ordinal);
        Assert.Contains("ENOENT", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_full_medium_is_out_of_space()
    {
        using SafeFileHandle full = NativeFile.Open("/dev/full", OpenMode.ReadWrite);
        LinuxErrorException failure = Assert.Throws<LinuxErrorException>(() => NativeFile.Write(full, new byte[10], 0));
        Assert.True(failure.IsOutOfSpace);
    }

    [Fact]
    public void A_sync_that_fails_throws()
    {
        // The kernel can't sync a character device like this one: EINVAL, from fsync itself.
        using SafeFileHandle zero = NativeFile.Open("/dev/zero", OpenMode.ReadWrite);
        Assert.Equal(Errno.EINVAL, Assert.Throws<LinuxErrorException>(() => NativeFile.Sync(zero)).Errno);
        Assert.Equal(Errno.EINVAL, Assert.Throws<LinuxErrorException>(() => NativeFile.SyncData(zero)).Errno);
    }

    [Fact]
    public void A_closed_handle_is_refused()
    {
        SafeFileHandle file = NewFile("closed", 10);
        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() => NativeFile.Sync(file));
    }

    [Fact]
    public void Long_transfers_are_finished_and_the_end_is_noticed()
    {
        byte[] content = TestSeed.NewRandom().NextBytes(1024 * 1024);
        using SafeFileHandle file = NewFile("long", 0);
        NativeFile.Write(file, content, 4096);
        byte[] read = new byte[content.Length + 100];
        Assert.Equal(content.Length, NativeFile.Read(file, read, 4096));
        Assert.True(content.AsSpan().SequenceEqual(read.AsSpan(0, content.Length)));
        Assert.Throws<EndOfStreamException>(() => NativeFile.ReadExactly(file, read, 4096));
    }

    [Fact]
    public void A_rename_never_goes_over_something()
    {
        File.WriteAllText(_directory["one"], "1");
        File.WriteAllText(_directory["two"], "2");
        Assert.False(NativeFile.TryRenameNoReplace(_directory["one"], _directory["two"]));
        Assert.Equal("2", File.ReadAllText(_directory["two"]));
        Assert.True(NativeFile.TryRenameNoReplace(_directory["one"], _directory["three"]));
        Assert.False(File.Exists(_directory["one"]));
        Assert.Equal("1", File.ReadAllText(_directory["three"]));
        Assert.Throws<LinuxErrorException>(() => NativeFile.TryRenameNoReplace(_directory["none"], _directory["four"]));
    }

    [Fact]
    public void Opening_beneath_a_directory_stays_beneath_it()
    {
        Directory.CreateDirectory(_directory["inner"]);
        File.WriteAllText(_directory["inner/good"], "good");
        File.WriteAllText(_directory["secret"], "secret");
        File.CreateSymbolicLink(_directory["inner/link"], "../secret");
        File.CreateSymbolicLink(_directory["inner/near"], "good");
        using SafeFileHandle inner = NativeFile.Open(_directory["inner"], OpenMode.ReadOnly | OpenMode.Directory);
        using (SafeFileHandle good = NativeFile.OpenBeneath(inner, "good", OpenMode.ReadOnly))
        {
            byte[] four = new byte[4];
            NativeFile.ReadExactly(good, four, 0);
            Assert.Equal("good"u8, four);
        }

        foreach (string escape in (string[])["../secret", "link", "near", _directory["secret"], "good/../../secret"])
        {
            Assert.Throws<LinuxErrorException>(() => NativeFile.OpenBeneath(inner, escape, OpenMode.ReadOnly));
        }
    }

    [Fact]
    public void A_punched_hole_reads_as_zeros_frees_storage_and_keeps_the_length()
    {
        using SafeFileHandle file = NewFile("holes", 1024 * 1024);
        NativeFile.Sync(file);
        Assert.SkipUnless(NativeFile.TryPunchHole(file, 256 * 1024, 512 * 1024), "needs a file system with holes");
        byte[] read = new byte[1024 * 1024];
        NativeFile.ReadExactly(file, read, 0);
        Assert.Equal(-1, read.AsSpan(256 * 1024, 512 * 1024).IndexOfAnyExcept((byte)0));
        Assert.Equal(-1, read.AsSpan(0, 256 * 1024).IndexOfAnyExcept((byte)1));
        FileStatus status = NativeFile.TryGetStatus(_directory["holes"])!.Value;
        Assert.Equal(1024 * 1024, status.Length);
        Assert.InRange(status.AllocatedBytes, 1, 600 * 1024);
        Assert.Equal(256 * 1024, NativeFile.SeekHole(file, 0));
        Assert.Equal(768 * 1024, NativeFile.SeekData(file, 256 * 1024));
        Assert.Equal(1024 * 1024, NativeFile.SeekHole(file, 768 * 1024));
        Assert.Null(NativeFile.SeekData(file, 1024 * 1024));
    }

    [Fact]
    public void Every_kind_of_thing_is_told_apart()
    {
        using SafeFileHandle file = NewFile("plain", 5000);
        File.CreateSymbolicLink(_directory["link"], "plain");
        Assert.Equal(FileKind.Regular, NativeFile.TryGetStatus(_directory["plain"])!.Value.Kind);
        Assert.Equal(5000, NativeFile.TryGetStatus(_directory["link"])!.Value.Length);
        Assert.Equal(FileKind.Other, NativeFile.TryGetStatus(_directory["link"], followLinks: false)!.Value.Kind);
        Assert.Equal(FileKind.Directory, NativeFile.TryGetStatus(_directory.Path)!.Value.Kind);
        Assert.Equal(FileKind.Other, NativeFile.TryGetStatus("/dev/null")!.Value.Kind);
        Assert.Equal(new DeviceNumber(1, 3), NativeFile.TryGetStatus("/dev/null")!.Value.SpecialDevice); // devices.txt: 1:3 is null
        Assert.Null(NativeFile.TryGetStatus(_directory["none"]));
        Assert.Null(NativeFile.TryGetStatus(_directory["plain/below"]));
    }

    [Fact]
    public void Who_else_has_a_file_open_is_known()
    {
        NewFile("leased", 10).Dispose();
        using SafeFileHandle mine = NativeFile.Open(_directory["leased"], OpenMode.ReadWrite);
        bool? answer = NativeFile.IsOpenElsewhere(mine, writable: true);
        Assert.SkipWhen(answer is null, "needs a file system with leases");
        Assert.False(answer);
        using SafeFileHandle theirs = NativeFile.Open(_directory["leased"], OpenMode.ReadOnly);
        Assert.True(NativeFile.IsOpenElsewhere(mine, writable: true));
    }

    private SafeFileHandle NewFile(string name, int length)
    {
        SafeFileHandle file = NativeFile.Open(_directory[name], OpenMode.ReadWrite | OpenMode.Create | OpenMode.Exclusive);
        byte[] content = new byte[length];
        content.AsSpan().Fill(1);
        NativeFile.Write(file, content, 0);
        return file;
    }
}
