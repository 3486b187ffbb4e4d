using Quench.Interop.Linux;
using Quench.Snapshots.Providers.Cold;
using Xunit;

namespace Quench.Tests.Imaging;

public sealed class PathInspectorTests
{
    [Fact]
    public void Files_directories_and_nothing_are_told_apart()
    {
        using TemporaryDirectory directory = new();
        File.WriteAllBytes(directory["image"], new byte[4096]);
        PathUse file = PathInspector.Inspect(directory["image"]);
        Assert.Equal((PathKind.File, 4096L, false), (file.Kind, file.Length, file.IsInUse));
        Assert.Equal(PathKind.Directory, PathInspector.Inspect(directory.Path).Kind);
        Assert.Equal(PathKind.Missing, PathInspector.Inspect(directory["nothing"]).Kind);
        Assert.Equal(PathKind.Other, PathInspector.Inspect("/dev/null").Kind);
    }

    [Fact]
    public void Two_names_of_one_file_are_the_same()
    {
        using TemporaryDirectory directory = new();
        File.WriteAllBytes(directory["image"], new byte[1]);
        File.WriteAllBytes(directory["other"], new byte[1]);
        File.CreateSymbolicLink(directory["link"], directory["image"]);
        Assert.True(PathInspector.AreSame(directory["image"], directory["link"]));
        Assert.False(PathInspector.AreSame(directory["image"], directory["other"]));
        Assert.False(PathInspector.AreSame(directory["image"], directory["nothing"]));
    }

    [Fact]
    public async Task A_file_under_a_loop_device_is_in_use_and_the_device_is_not()
    {
        await using LoopDevice loop = await LoopDevice.AttachAsync(1 << 20);
        string backing = (await File.ReadAllTextAsync($"/sys/block/{Path.GetFileName(loop.Path)}/loop/backing_file", TestContext.Current.CancellationToken)).Trim();
        PathUse file = PathInspector.Inspect(backing);
        Assert.Equal($"attached to {loop.Path}", file.UsedBy);
        PathUse device = PathInspector.Inspect(loop.Path);
        Assert.Equal((PathKind.BlockDevice, 1L << 20, ""), (device.Kind, device.Length, device.UsedBy));
    }

    [Fact]
    public void The_mount_table_gives_devices_mount_points_and_sources()
    {
        IReadOnlyList<MountEntry> mounts = Mounts.Parse(
        [
            "36 35 98:0 /mnt1 /mnt2\\040with\\040blanks rw,noatime master:1 - ext3 /dev/root rw,errors=continue",
            "22 27 0:21 / /proc rw,relatime - proc proc rw",
        ]);
        Assert.Equal(2, mounts.Count);
        Assert.Equal(("98:0", "/mnt2 with blanks", "/dev/root"), (mounts[0].Device.ToString(), mounts[0].MountPoint, mounts[0].Source));
        Assert.Equal("/proc", mounts[1].MountPoint);
    }
}
