using Quench.Blocks;
using Quench.Imaging.Sources;
using Quench.Snapshots;
using Quench.Snapshots.Providers.Cold;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Providers.Tracked;
using Xunit;

namespace Quench.Tests.Imaging;

public sealed class SourceResolverTests
{
    private static readonly AttachedVolume s_attached = new("data", "/dev/sdb1", "/dev/loop5", 1 << 20, "/srv/data", AttachmentState.Serving);

    [Theory]
    [InlineData("data")]
    [InlineData("/dev/loop5")]
    [InlineData("/srv/data")]
    [InlineData("/dev/sdb1")]
    public void An_attached_volume_is_known_by_all_its_names(string word)
    {
        AttachedSource source = Assert.IsType<AttachedSource>(Resolver(new PathUse(word, PathKind.Missing, 0, [])).Resolve(word));
        Assert.Same(s_attached, source.Volume);
        Assert.Equal("data", source.Name);
    }

    [Theory]
    [InlineData(PathKind.BlockDevice)]
    [InlineData(PathKind.File)]
    public void What_nobody_uses_is_imaged_at_rest(PathKind kind)
    {
        PathUse use = new("/dev/sdc1", kind, 4096, []);
        Assert.Equal(new ColdSource("sdc1", "/dev/sdc1"), Resolver(use).Resolve("/dev/sdc1"));
    }

    [Fact]
    public void A_mounted_device_that_can_be_tracked_is_imaged_while_it_is_used()
    {
        MountedVolume mounted = new("sdc1", "/dev/sdc1", "/home", "ext4", IsRoot: false);
        SourceResolver resolver = Resolver(new PathUse("/dev/sdc1", PathKind.BlockDevice, 4096, ["mounted at /home"]), mounted: mounted);
        Assert.Equal(new MountedSource(mounted), resolver.Resolve("/home"));
    }

    [Fact]
    public void Only_mounted_devices_each_named_once_have_one_instant_together()
    {
        MountedSource home = new(new MountedVolume("sdc1", "/dev/sdc1", "/home", "ext4", IsRoot: false));
        MountedSource data = new(new MountedVolume("sdc2", "/dev/sdc2", "/srv", "xfs", IsRoot: false));
        MountedSource disk = new(new MountedVolume("sdc", "/dev/sdc", "/home", "", IsRoot: false)
        {
            Parts = [new PartInUse(new Extent(1 << 20, 1 << 20), "/home", "ext4"), new PartInUse(new Extent(2 << 20, 1 << 20), "/srv", "xfs")],
        });
        SourceSet.DemandOneInstant([home, data]);
        SourceSet.DemandOneInstant([new ColdSource("a", "/a")]);
        Assert.Contains("a is not mounted", Together(home, new ColdSource("a", "/a")), StringComparison.Ordinal);
        Assert.Contains("data is attached", Together(new AttachedSource(s_attached), home), StringComparison.Ordinal);
        Assert.Contains("/home is named twice", Together(home, data, home), StringComparison.Ordinal);
        Assert.Contains("/srv is named twice", Together(data, disk), StringComparison.Ordinal);
    }

    [Fact]
    public void A_mounted_device_is_refused_with_the_reason_and_the_ways_out()
    {
        QuenchException refusal = Refused(new PathUse("/dev/sdc1", PathKind.BlockDevice, 4096, ["mounted at /home"]), "SRC-103");
        Assert.Equal(11, refusal.ExitCode);
        Assert.Contains("mounted at /home", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("unmount", refusal.Next, StringComparison.Ordinal);
        Assert.Contains("quench attach /dev/sdc1 --name", refusal.Next, StringComparison.Ordinal);
    }

    [Fact]
    public void A_mount_point_that_is_not_attached_is_refused_and_its_device_named()
    {
        QuenchException refusal = Refused(new PathUse("/home", PathKind.Directory, 0, []), "SRC-103", mountSource: "/dev/sdc1");
        Assert.Contains("quench attach /dev/sdc1", refusal.Next, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_no_volume_is_refused()
    {
        Refused(new PathUse("/etc", PathKind.Directory, 0, []), "SRC-102");
        Refused(new PathUse("/dev/null", PathKind.Other, 0, []), "SRC-102");
        Refused(new PathUse("/empty", PathKind.File, 0, []), "SRC-102");
        Refused(new PathUse("/nothing", PathKind.Missing, 0, []), "SRC-101");
    }

    private static string Together(params ImagingSource[] sources)
    {
        QuenchException refusal = Assert.Throws<QuenchException>(() => SourceSet.DemandOneInstant(sources));
        Assert.Equal(("SRC-105", 2), (refusal.Code, refusal.ExitCode));
        return refusal.Message;
    }

    private static QuenchException Refused(PathUse use, string code, string? mountSource = null)
    {
        QuenchException refusal = Assert.Throws<QuenchException>(() => Resolver(use, mountSource).Resolve(use.Path));
        Assert.Equal(code, refusal.Code);
        return refusal;
    }

    private static SourceResolver Resolver(PathUse use, string? mountSource = null, MountedVolume? mounted = null) => new(
        word => word == s_attached.Name || word == s_attached.Device || word == s_attached.MountPoint || word == s_attached.Origin ? s_attached : null,
        _ => use,
        _ => mountSource,
        _ => mounted);
}
