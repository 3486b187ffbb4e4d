using Quench.Snapshots.Providers;
using Quench.Tests.FileSystems;
using Xunit;
using VolumeTool = Quench.Tests.FileSystems.Tool;

namespace Quench.Tests.Imaging.Exclusions;

public sealed class VolumePathsTests
{
    [Fact]
    public async Task A_path_is_found_on_the_volume_it_lies_on_and_on_no_other_and_not_where_it_is_uncertain()
    {
        VolumeTool.Require("mke2fs", "losetup");
        VolumeTool.RequireRoot();
        using TempFolder folder = new();
        await VolumeTool.RunAsync("truncate", "-s", "8M", folder["one.img"]);
        await VolumeTool.RunAsync("mke2fs", "-q", "-F", "-t", "ext4", folder["one.img"]);
        await using LoopMount mount = await LoopMount.MountAsync(folder["one.img"], folder["mnt"]);
        string inside = Directory.CreateDirectory(Path.Combine(mount.Folder, "a", "b")).FullName;
        Directory.CreateDirectory(Path.Combine(mount.Folder, "other", "b"));
        Directory.CreateSymbolicLink(Path.Combine(mount.Folder, "link"), "a");
        Assert.Equal("/a/b", VolumePaths.TryFind(mount.Folder, inside));
        Assert.Equal("/a/b", VolumePaths.TryFind(mount.Folder, inside + "/"));
        Assert.Null(VolumePaths.TryFind(mount.Folder, Path.Combine(mount.Folder, "link", "b")));
        Assert.Null(VolumePaths.TryFind(mount.Folder, Path.Combine(mount.Folder, "missing")));
        Assert.Null(VolumePaths.TryFind(mount.Folder, mount.Folder));
        Assert.Null(VolumePaths.TryFind(mount.Folder, folder["one.img"]));
        Assert.Null(VolumePaths.TryFind(folder.Path, inside)); // no mount point
        await VolumeTool.RunAsync("mount", "--bind", Path.Combine(mount.Folder, "other"), Path.Combine(mount.Folder, "a"));
        try
        {
            Assert.Null(VolumePaths.TryFind(mount.Folder, inside)); // it is /other/b by now
            Assert.Null(VolumePaths.TryFind(Path.Combine(mount.Folder, "a"), inside)); // not all of the volume stands there
        }
        finally
        {
            await VolumeTool.RunAsync("umount", Path.Combine(mount.Folder, "a"));
        }
    }
}
