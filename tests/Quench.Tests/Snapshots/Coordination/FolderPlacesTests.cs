using Quench.Interop.Linux;
using Quench.Snapshots.Coordination;
using Xunit;

namespace Quench.Tests.Snapshots.Coordination;

public sealed class FolderPlacesTests
{
    [Theory]
    [InlineData("/mnt", "/", "/mnt/app/data", "/app/data")]
    [InlineData("/mnt", "/", "/mnt", "/")]
    [InlineData("/", "/", "/var/lib/app", "/var/lib/app")]
    [InlineData("/", "/", "/", "/")]
    [InlineData("/srv/data", "/sub", "/srv/data/app", "/sub/app")]            // a subvolume, a bind mount
    [InlineData("/srv/data", "/deep/sub", "/srv/data", "/deep/sub")]
    [InlineData("/", "/@", "/var", "/@/var")]
    [InlineData("/mnt", "/", "/mnt2/app", null)]                               // not below it
    public void The_path_inside_a_file_system_is_what_follows_the_mount_point_after_the_mounts_root(string mountPoint, string root, string real, string? expected) =>
        Assert.Equal(expected, FolderPlaces.PathInside(new MountEntry(new DeviceNumber(8, 1), mountPoint, "ext4", "/dev/sda1") { Root = root }, real));

    [Fact]
    public void A_partition_begins_where_the_kernel_says_on_its_own_disk_and_on_no_other()
    {
        using TemporaryDirectory sysfs = new();
        string disk = Directory.CreateDirectory(sysfs["sda"]).FullName;
        string partition = Directory.CreateDirectory(Path.Combine(disk, "sda2")).FullName;
        File.WriteAllText(Path.Combine(disk, "dev"), "8:0\n");
        File.WriteAllText(Path.Combine(partition, "partition"), "2\n");
        File.WriteAllText(Path.Combine(partition, "start"), "2099200\n");
        DeviceNumber part = new(8, 2);
        string? FolderOf(DeviceNumber number) => number == part ? partition : number == new DeviceNumber(8, 0) ? disk : null;
        Assert.Equal(2099200L * 512, FolderPlaces.BeginningOf(part, new DeviceNumber(8, 0), FolderOf));
        Assert.Equal(0, FolderPlaces.BeginningOf(part, part, FolderOf));
        Assert.Null(FolderPlaces.BeginningOf(part, new DeviceNumber(8, 16), FolderOf));
        Assert.Null(FolderPlaces.BeginningOf(new DeviceNumber(8, 0), part, FolderOf)); // a disk is no partition
        Assert.Null(FolderPlaces.BeginningOf(new DeviceNumber(253, 0), new DeviceNumber(8, 0), FolderOf)); // nobody knows what is below a mapper
    }

    [Fact]
    public void The_mount_of_a_path_is_found_by_its_number_and_its_links_are_resolved()
    {
        using TemporaryDirectory folder = new();
        string real = Directory.CreateDirectory(folder["real"]).FullName;
        Directory.CreateSymbolicLink(folder["link"], real);
        Assert.Equal(real, NativeFile.TryGetRealPath(folder["link"]));
        Assert.Null(NativeFile.TryGetRealPath(folder["nothing"]));
        Assert.Contains(Mounts.Read(), mount => mount.Number == NativeFile.TryGetMountNumber(folder["link"]) && FolderPlaces.PathInside(mount, real) is not null);
    }

    [Fact]
    public void A_line_of_mountinfo_tells_the_mounts_number_and_its_root()
    {
        MountEntry mount = Assert.Single(Mounts.Parse([@"97 61 0:44 /a\040sub /srv/data rw,relatime shared:3 - btrfs /dev/vdb rw,space_cache=v2"]));
        Assert.Equal((97, "/a sub", "/srv/data", new DeviceNumber(0, 44)), (mount.Number, mount.Root, mount.MountPoint, mount.Device));
    }
}
