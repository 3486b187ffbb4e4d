using System.Text;
using Quench.Blocks;
using Quench.FileSystems;
using Xunit;

namespace Quench.Tests.FileSystems.Containers;

/// <summary>Containers are recognised, said, and kept whole.</summary>
public sealed class ContainerTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData("luks1")]
    [InlineData("luks2")]
    public async Task A_container_made_by_cryptsetup_is_recognised(string type)
    {
        Tool.Require("cryptsetup", "truncate");
        using TempFolder folder = new();
        await Tool.RunAsync("truncate", "-s", "20M", folder["made.img"]);
        await File.WriteAllTextAsync(folder["key"], "a key for tests", TestContext.Current.CancellationToken);
        string[] quick = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--uuid", "01234567-89ab-cdef-0123-456789abcdef"];
        await Tool.RunAsync("cryptsetup", ["-q", "luksFormat", "--type", type, .. quick, folder["made.img"], folder["key"]]);
        VolumeAnalysis ours = await ExpectWholeAsync(folder["made.img"], "is a LUKS container");
        Assert.Equal((type, "01234567-89ab-cdef-0123-456789abcdef"), (ours.FileSystem!.Type, ours.FileSystem.Uuid));
    }

    [Fact]
    public async Task A_physical_volume_is_recognised()
    {
        using TempFolder folder = new();
        await File.WriteAllBytesAsync(folder["made.img"], PhysicalVolume(), TestContext.Current.CancellationToken);
        VolumeAnalysis ours = await ExpectWholeAsync(folder["made.img"], "is an LVM physical volume");
        Assert.Equal(("lvm2", "abcdef-GHIJ-klmn-OPQR-stuv-WXYZ-123456"), (ours.FileSystem!.Type, ours.FileSystem.Uuid));
    }

    [Fact]
    public async Task A_physical_volume_made_by_pvcreate_is_recognised()
    {
        Tool.Require("pvcreate", "losetup", "truncate");
        Tool.RequireRoot();
        using TempFolder folder = new();
        await Tool.RunAsync("truncate", "-s", "20M", folder["made.img"]);
        string loop = (await Tool.RunAsync("losetup", "-f", "--show", folder["made.img"])).Trim();
        try
        {
            await Tool.RunAsync("pvcreate", "-q", "--norestorefile", "--uuid", "abcdef-GHIJ-klmn-OPQR-stuv-WXYZ-123456", "--devices", loop, loop);
        }
        finally
        {
            await Tool.RunAsync("losetup", "-d", loop);
        }

        VolumeAnalysis ours = await ExpectWholeAsync(folder["made.img"], "is an LVM physical volume");
        Assert.Equal("abcdef-GHIJ-klmn-OPQR-stuv-WXYZ-123456", ours.FileSystem!.Uuid);
    }

    [Fact]
    public async Task No_bytes_of_luks_make_it_fail_hang_or_take_much_memory() =>
        await AnalyserFuzz.RunAsync(
            [
                new("luks1", await FuzzCorpus.VolumeAsync("luks1", () => MakeLuksAsync("luks1")), [new Extent(0, 224)], _ => { }),
                new("luks2", await FuzzCorpus.VolumeAsync("luks2", () => MakeLuksAsync("luks2")), [new Extent(0, 512)], _ => { }),
            ],
            4 << 20,
            output);

    [Fact]
    public async Task No_bytes_of_lvm_make_it_fail_hang_or_take_much_memory() =>
        await AnalyserFuzz.RunAsync([new("lvm", PhysicalVolume(), [new Extent(512, 96), new Extent(0, 2048)], _ => { })], 4 << 20, output);

    /// <summary>Its header alone: what follows is noise.</summary>
    private static async Task<byte[]> MakeLuksAsync(string type)
    {
        Tool.Require("cryptsetup", "truncate");
        using TempFolder folder = new();
        await Tool.RunAsync("truncate", "-s", "20M", folder["made.img"]);
        await File.WriteAllTextAsync(folder["key"], "a key for tests");
        await Tool.RunAsync("cryptsetup", "-q", "luksFormat", "--type", type, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", folder["made.img"], folder["key"]);
        byte[] image = new byte[1 << 20];
        (await File.ReadAllBytesAsync(folder["made.img"])).AsSpan(0, 4096).CopyTo(image);
        return image;
    }

    private static byte[] PhysicalVolume()
    {
        byte[] image = new byte[1 << 20];
        Encoding.ASCII.GetBytes("LABELONE", image.AsSpan(512));
        image[512 + 0x14] = 0x20;
        Encoding.ASCII.GetBytes("LVM2 001abcdefGHIJklmnOPQRstuvWXYZ123456", image.AsSpan(512 + 0x18));
        return image;
    }

    private static async Task<VolumeAnalysis> ExpectWholeAsync(string path, string sentence)
    {
        await using TestVolume volume = TestVolume.OverFile(path);
        VolumeAnalysis ours = await Recogniser.AnalyseAsync(volume, VolumeCondition.AtRest, TestContext.Current.CancellationToken);
        Assert.Contains(sentence, ours.Doubt, StringComparison.Ordinal);
        Assert.Equal(volume.Geometry.Length, ours.Used.TotalLength);
        return ours;
    }
}
