using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Quench.FileSystems;
using Xunit;

namespace Quench.Tests.FileSystems;

/// <summary>
/// What it costs to map a sparse volume of 1 TiB, beside partclone and the file system's own tool. QUENCH_MAP_COST says which kind, or "all"; the
/// figures are in docs/performance.md.
/// </summary>
public sealed partial class MapCostTests(ITestOutputHelper output)
{
    private const int Rounds = 3;
    private const int LargeFiles = 200;
    private const int SmallFiles = 2000;

    [Theory]
    [InlineData("ext4", "mke2fs -q -F -t ext4", "mount", "partclone.extfs", "dumpe2fs")]
    [InlineData("xfs", "mkfs.xfs -q -f", "mount", "partclone.xfs", "xfs_db -r -f -c freesp")]
    [InlineData("btrfs", "mkfs.btrfs -q -f -K", "mount", "partclone.btrfs", "btrfs inspect-internal dump-tree -t extent")]
    [InlineData("ntfs", "mkntfs -Q -q -F -s 512 -p 0 -H 16 -S 63", "ntfs-3g", "partclone.ntfs", "ntfsresize --info -f --no-progress-bar")]
    [InlineData("exfat", "mkfs.exfat -c 128K", "mount.exfat-fuse", "partclone.exfat", "dump.exfat")]
    [InlineData("fat32", "mkfs.fat -F 32 -s 64", "", "partclone.fat", "fsck.fat -n")]
    [InlineData("swap", "mkswap", "", "", "")]
    public async Task A_sparse_volume_of_a_tebibyte(string kind, string make, string mount, string partclone, string own)
    {
        string wanted = Environment.GetEnvironmentVariable("QUENCH_MAP_COST") ?? "";
        Assert.SkipUnless(wanted == "all" || wanted == kind, "measures only when QUENCH_MAP_COST names the kind, or is \"all\"");
        Tool.RequireRoot();
        using TempFolder folder = new();
        string image = folder["large.img"];
        await Tool.RunAsync("truncate", "-s", "1T", image);
        await RunAsync(make, image);
        if (mount.Length > 0)
        {
            await FillAsync(image, folder["mnt"], mount);
        }

        string ours = await MeasureOursAsync(image);
        string theirs = partclone.Length == 0 ? "– | –" : await MeasureAsync(partclone, ["-D", "--offset_domain=0", "-s", image, "-o", image + ".domain", "-L", image + ".log"], image + ".domain");
        string tool = own.Length == 0 ? "– | –" : await MeasureAsync(own.Split(' ')[0], [.. own.Split(' ')[1..], image], image + ".none");
        output.WriteLine($"| {kind} | {ours} | {theirs} | {tool} |");
    }

    /// <summary>Large files that only hold space, a third of them given back, and small ones.</summary>
    private static async Task FillAsync(string image, string folder, string program)
    {
        await using LoopMount mount = await LoopMount.MountAsync(image, folder, program);
        for (int index = 0; index < LargeFiles && program == "mount"; index++)
        {
            await Tool.RunAsync("fallocate", "-l", "1G", Path.Combine(mount.Folder, $"large{index}"));
        }

        for (int index = 0; index < SmallFiles; index++)
        {
            await File.WriteAllBytesAsync(Path.Combine(mount.Folder, $"small{index}"), new byte[3000 + (index * 7)], TestContext.Current.CancellationToken);
        }

        for (int index = 0; index < LargeFiles && program == "mount"; index += 3)
        {
            File.Delete(Path.Combine(mount.Folder, $"large{index}"));
        }
    }

    private static async Task<string> MeasureOursAsync(string image)
    {
        double least = double.MaxValue;
        long most = 0;
        long used = 0;
        for (int round = 0; round < Rounds; round++)
        {
            GC.Collect();
            await File.WriteAllTextAsync("/proc/self/clear_refs", "5", TestContext.Current.CancellationToken); // the peak of resident memory begins anew
            long before = Peak();
            long start = Stopwatch.GetTimestamp();
            await using TestVolume volume = TestVolume.OverFile(image);
            VolumeAnalysis ours = await Recogniser.AnalyseAsync(volume, VolumeCondition.AtRest, TestContext.Current.CancellationToken);
            least = Math.Min(least, Stopwatch.GetElapsedTime(start).TotalSeconds);
            most = Math.Max(most, Peak() - before);
            Assert.Null(ours.Doubt);
            used = ours.Used.TotalLength;
            Assert.InRange(most, 0, 100 << 10);
        }

        return string.Create(CultureInfo.InvariantCulture, $"{used >> 20} | {least:0.000} | {most / 1024.0:0.0}");
    }

    /// <summary>The best of the rounds: seconds, and MiB of its peak.</summary>
    private static async Task<string> MeasureAsync(string program, string[] arguments, string leaves)
    {
        double least = double.MaxValue;
        double most = 0;
        for (int round = 0; round < Rounds; round++)
        {
            File.Delete(leaves);
            (_, _, string error) = await Tool.TryRunAsync("time", ["-f", "took %e %M", program, .. arguments]);
            Match took = Took().Match(error);
            Assert.True(took.Success, error);
            least = Math.Min(least, double.Parse(took.Groups[1].ValueSpan, CultureInfo.InvariantCulture));
            most = Math.Max(most, double.Parse(took.Groups[2].ValueSpan, CultureInfo.InvariantCulture) / 1024);
        }

        return string.Create(CultureInfo.InvariantCulture, $"{least:0.00} | {most:0}");
    }

    private static Task<string> RunAsync(string command, string image) => Tool.RunAsync(command.Split(' ')[0], [.. command.Split(' ')[1..], image]);

    private static long Peak() => long.Parse(PeakOfResident().Match(File.ReadAllText("/proc/self/status")).Groups[1].ValueSpan, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"took ([\d.]+) (\d+)")]
    private static partial Regex Took();

    [GeneratedRegex(@"VmHWM:\s+(\d+) kB")]
    private static partial Regex PeakOfResident();
}
