using Quench.FileSystems;
using Xunit;

namespace Quench.Tests.FileSystems.Ext4;

/// <summary>A large file system costs what its bitmaps cost.</summary>
public sealed class ExtSizeTests(ITestOutputHelper output)
{
    [Fact]
    public async Task A_file_system_of_a_tebibyte_takes_little_more_memory_than_its_bitmap()
    {
        Tool.Require("mke2fs", "truncate", "dumpe2fs");
        using TempFolder folder = new();
        await Tool.RunAsync("truncate", "-s", "1T", folder["large.img"]);
        await Tool.RunAsync("mke2fs", "-q", "-F", "-t", "ext4", folder["large.img"]);
        VolumeAnalysis ours = await LargeVolume.MapAsync(folder["large.img"], (2 * 32 + 4) << 20, output); // the map and the claims at one bit for each of 2^28 blocks, and the rest
        Assert.Null(ExtWitness.Compare(ours.Used, await ExtWitness.AskDumpe2fsAsync(folder["large.img"])));
    }
}
