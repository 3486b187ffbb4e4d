using Quench.Blocks;
using Quench.Imaging.Recovery;
using Quench.Snapshots.Providers.Cold;
using Quench.Snapshots.Providers.Filter;
using Quench.Vault;
using Xunit;

namespace Quench.Tests.Imaging;

public sealed class RestorePlannerTests
{
    private const long Length = 1000 * 1024;
    private const string Target = "/tmp/target";

    private PathUse _there = new(Target, PathKind.BlockDevice, Length, []);
    private AttachedVolume? _attached;
    private long _free = long.MaxValue;

    [Fact]
    public void A_free_device_that_is_large_enough_is_planned_for()
    {
        RestorePlan plan = Make(new RestoreRequest(Target) { OnlyDifferent = true, ReadBack = true });
        Assert.Equal((RestoreTargetKind.BlockDevice, Length, true, true), (plan.TargetKind, plan.TargetLength, plan.OnlyDifferent, plan.ReadBack));
        Assert.True(plan.IsDestructive);
        Assert.Equal("data", plan.Volume.Name);
    }

    [Fact]
    public void A_path_where_nothing_is_becomes_a_new_file_of_the_volumes_size()
    {
        _there = new PathUse(Target, PathKind.Missing, 0, []);
        RestorePlan plan = Make(new RestoreRequest(Target) { OnlyDifferent = true });
        Assert.Equal((RestoreTargetKind.NewFile, Length, false), (plan.TargetKind, plan.TargetLength, plan.OnlyDifferent));
        Assert.False(plan.IsDestructive);
    }

    [Fact]
    public void A_larger_target_keeps_its_end()
    {
        _there = _there with { Length = Length + 4096 };
        Assert.Equal(4096, Make(new RestoreRequest(Target)).Beyond);
    }

    [Fact]
    public void A_target_one_sector_too_small_is_refused()
    {
        _there = _there with { Length = Length - 512 };
        Assert.Contains("512 bytes more", Refused("RST-103").Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_mounted_target_is_refused()
    {
        _there = _there with { Users = ["mounted at /srv"] };
        QuenchException refusal = Refused("RST-104");
        Assert.Equal(11, refusal.ExitCode);
        Assert.Contains("mounted at /srv", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_origin_of_an_attached_volume_is_refused()
    {
        _attached = new AttachedVolume("data", Target, "/dev/loop9", Length, null, AttachmentState.Serving);
        Assert.Contains("origin of the attached volume data", Refused("RST-104").Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_device_of_an_attached_volume_that_is_not_mounted_may_be_restored_to()
    {
        _attached = new AttachedVolume("data", "/elsewhere", Target, Length, null, AttachmentState.Serving);
        Assert.Equal(Target, Make(new RestoreRequest(Target)).TargetPath);
    }

    [Fact]
    public void The_source_itself_is_refused_unless_it_is_meant()
    {
        RecoveryPoint point = Point() with { Volumes = [Volume() with { Source = Target }] };
        Assert.Equal("RST-105", Assert.Throws<QuenchException>(() => Planner().Make(point, new RestoreRequest(Target))).Code);
        Assert.Equal(Target, Planner().Make(point, new RestoreRequest(Target) { InPlace = true }).TargetPath);
    }

    [Fact]
    public void Another_machines_device_of_the_same_name_is_not_the_source()
    {
        RecoveryPoint point = Point() with { Host = "other", Volumes = [Volume() with { Source = Target }] };
        Assert.Equal(Target, Planner().Make(point, new RestoreRequest(Target)).TargetPath);
    }

    [Theory]
    [InlineData("/vault")]
    [InlineData("/vault/packs/aa")]
    public void The_vault_is_no_target(string path)
    {
        _there = new PathUse(path, PathKind.File, Length, []);
        Refused("RST-106");
    }

    [Theory]
    [InlineData(PathKind.Directory)]
    [InlineData(PathKind.Other)]
    public void What_is_neither_device_nor_file_is_no_target(PathKind kind)
    {
        _there = new PathUse(Target, kind, 0, []);
        Refused("RST-102");
    }

    [Fact]
    public void A_new_file_in_a_directory_that_does_not_exist_is_refused()
    {
        _there = new PathUse("/nowhere/at/all/target", PathKind.Missing, 0, []);
        Refused("RST-102");
    }

    [Fact]
    public void A_new_file_that_its_disk_has_no_room_for_is_refused()
    {
        _there = new PathUse(Target, PathKind.Missing, 0, []);
        _free = 100;
        Refused("RST-107");
    }

    [Fact]
    public void Which_volume_must_be_said_when_there_are_several()
    {
        RecoveryPoint two = Point() with { Volumes = [Volume(), Volume() with { Name = "root" }] };
        Assert.Contains("data, root", Assert.Throws<QuenchException>(() => Planner().Make(two, new RestoreRequest(Target))).Next, StringComparison.Ordinal);
        Assert.Equal("root", Planner().Make(two, new RestoreRequest(Target) { Volume = "root" }).Volume.Name);
        Assert.Equal("RST-101", Assert.Throws<QuenchException>(() => Planner().Make(two, new RestoreRequest(Target) { Volume = "home" })).Code);
    }

    private RestorePlan Make(RestoreRequest request) => Planner().Make(Point(), request);

    private QuenchException Refused(string code)
    {
        QuenchException refusal = Assert.Throws<QuenchException>(() => Make(new RestoreRequest(Target)));
        Assert.Equal(code, refusal.Code);
        return refusal;
    }

    private RestorePlanner Planner() => new("here", "/vault", _ => _there, _ => _attached, _ => _free);

    private static RecoveryPoint Point() => new()
    {
        Id = Guid.NewGuid(),
        SessionId = Guid.NewGuid(),
        Host = "here",
        Instant = DateTimeOffset.UnixEpoch,
        Written = DateTimeOffset.UnixEpoch,
        Volumes = [Volume()],
    };

    private static VolumeRecord Volume() => new()
    {
        Name = "data",
        Source = "/dev/source",
        Length = Length,
        SectorSize = 512,
        Root = ChunkId.Hole,
        UsedBytes = 4096,
    };
}
