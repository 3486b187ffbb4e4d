using Quench.FileSystems;
using Quench.FileSystems.PartitionTables;
using Quench.Imaging.Activity;
using Quench.Imaging.Recovery;
using Quench.Snapshots.Providers.Cold;
using Quench.Tests.FileSystems;
using Quench.Vault;
using Xunit;
using static System.Buffers.Binary.BinaryPrimitives;
using FileSystemTool = Quench.Tests.FileSystems.Tool;

namespace Quench.Tests.Imaging;

/// <summary>A partition that is restored into one that begins elsewhere: its boot sector must say where it lies now, or no machine starts from it.</summary>
public sealed class MovedPartitionTests
{
    private const long From = 2048 * 512;
    private const long To = 10240 * 512;
    private const long Length = 40L << 20;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("mkfs.fat -F 12 -s 32 -h 2048", "fsck.fat -n", 4)]
    [InlineData("mkfs.fat -F 16 -h 2048", "fsck.fat -n", 4)]
    [InlineData("mkfs.fat -F 32 -s 1 -h 2048", "fsck.fat -n", 8)]
    [InlineData("mkntfs -Q -q -F -s 512 -p 2048 -H 16 -S 63", "ntfsfix -n", 8)]
    [InlineData("mkfs.exfat", "fsck.exfat -n", 2 * (8 + 512))]
    public async Task A_boot_sector_that_said_where_it_lay_says_where_it_lies(string make, string check, int mostChanged)
    {
        FileSystemTool.Require(make.Split(' ')[0], check.Split(' ')[0], "sfdisk", "losetup", "addpart");
        FileSystemTool.RequireRoot();
        using TempFolder folder = new();
        byte[] made = await MakeAsync(folder, make);
        await using Target target = await Target.MakeAsync(folder);
        RestorePlan plan = await PlanAsync(folder, made, target.Partition, partition: 1);
        Assert.Equal((To, null), (plan.MovedTo, plan.SaysItBeginsAt));
        await RestoreAsync(plan, folder["source"]);
        byte[] restored = await ReadAsync(target.Partition);
        int changed = made.Where((one, at) => one != restored[at]).Count();
        Assert.InRange(changed, 1, mostChanged);
        await using TestVolume volume = TestVolume.Over(restored);
        StatedStart stated = (await StatedStart.TryReadAsync(volume, Token))!;
        Assert.True(stated.Is(To), $"it says sector {stated.Sector}");
        Assert.Null((await Judgement.AnalyseAsync(restored)).Doubt); // its backup agrees with it
        string[] words = check.Split(' ');
        await FileSystemTool.RunAsync(words[0], [.. words[1..], target.Partition]);
    }

    [Fact]
    public async Task One_that_said_something_else_or_whose_place_nobody_knows_stays_as_it_is()
    {
        FileSystemTool.Require("mkfs.fat", "sfdisk", "losetup", "addpart");
        FileSystemTool.RequireRoot();
        using TempFolder folder = new();
        byte[] made = await MakeAsync(folder, "mkfs.fat -F 16 -h 63");
        await using Target target = await Target.MakeAsync(folder);
        RestorePlan plan = await PlanAsync(folder, made, target.Partition, partition: 1);
        Assert.Equal((null, 63UL), (plan.MovedTo, plan.SaysItBeginsAt));
        await RestoreAsync(plan, folder["source"]);
        Assert.Equal(made, await ReadAsync(target.Partition));
        await File.WriteAllBytesAsync(folder["alone"], await MakeAsync(folder, "mkfs.fat -F 16 -h 2048"), Token);
        RestorePlan alone = Planner().Make(PointOf(Length), new RestoreRequest(target.Partition));
        await using TestVolume image = TestVolume.OverFile(folder["alone"]);
        alone = await RestorePlanner.MoveAsync(alone, image, Token);
        Assert.Equal((null, 2048UL), (alone.MovedTo, alone.SaysItBeginsAt));
    }

    [Fact]
    public async Task In_the_same_place_and_in_a_file_nothing_is_said_or_changed()
    {
        FileSystemTool.Require("mkfs.fat", "sfdisk", "losetup", "addpart");
        FileSystemTool.RequireRoot();
        using TempFolder folder = new();
        byte[] made = await MakeAsync(folder, "mkfs.fat -F 16 -h 2048");
        await using Target target = await Target.MakeAsync(folder, From);
        RestorePlan same = await PlanAsync(folder, made, target.Partition, partition: 1);
        Assert.Equal((From, null, null), (same.TargetStart, same.MovedTo, same.SaysItBeginsAt));
        RestorePlan file = await PlanAsync(folder, made, folder["new file"], partition: 1);
        Assert.Equal((null, null, null), (file.TargetStart, file.MovedTo, file.SaysItBeginsAt));
    }

    /// <summary>One that says that it begins at sector 2048; mkfs.exfat has no option for that.</summary>
    private static async Task<byte[]> MakeAsync(TempFolder folder, string make)
    {
        string[] words = make.Split(' ');
        await FileSystemTool.RunAsync("truncate", "-s", "0", folder["made"]);
        await FileSystemTool.RunAsync("truncate", "-s", $"{Length}", folder["made"]);
        await FileSystemTool.RunAsync(words[0], [.. words[1..], folder["made"]]);
        byte[] bytes = await File.ReadAllBytesAsync(folder["made"], Token);
        if (make.Contains("exfat", StringComparison.Ordinal))
        {
            foreach (int region in (int[])[0, 12 * 512])
            {
                WriteInt64LittleEndian(bytes.AsSpan(region + 0x40), 2048);
                uint sum = 0; // as the specification has it, once more
                for (int at = 0; at < 11 * 512; at++)
                {
                    sum = at is 106 or 107 or 112 ? sum : unchecked(((sum & 1) << 31) + (sum >> 1) + bytes[region + at]);
                }

                for (int at = 11 * 512; at < 12 * 512; at += 4)
                {
                    WriteUInt32LittleEndian(bytes.AsSpan(region + at), sum);
                }
            }
        }

        return bytes;
    }

    /// <summary>The plan for a partition of a disk on which it begins at sector 2048.</summary>
    private static async Task<RestorePlan> PlanAsync(TempFolder folder, byte[] made, string target, int partition)
    {
        await FileSystemTool.RunAsync("truncate", "-s", $"{From + Length + (1 << 20)}", folder["source"]);
        await DivideAsync(folder, folder["source"], From);
        await using (FileStream file = new(folder["source"], FileMode.Open, FileAccess.Write))
        {
            file.Position = From;
            await file.WriteAsync(made, Token);
        }

        await using TestVolume image = TestVolume.OverFile(folder["source"]);
        PartitionTable? table = await PartitionTableReader.TryReadAsync(image, 512, Token);
        RestorePlan plan = Planner().Make(PointOf(image.Geometry.Length), new RestoreRequest(target) { Partition = partition, ReadBack = true }, table);
        return plan.TargetStart is null ? plan : await RestorePlanner.MoveAsync(plan, image, Token);
    }

    private static async Task RestoreAsync(RestorePlan plan, string source)
    {
        await using TestVolume image = TestVolume.OverFile(source);
        await Restore.RunAsync(plan, image, new ActivityMonitor(TimeProvider.System), Token);
    }

    private static async Task<byte[]> ReadAsync(string device)
    {
        byte[] bytes = new byte[Length];
        await using FileStream file = File.OpenRead(device);
        await file.ReadExactlyAsync(bytes, Token);
        return bytes;
    }

    private static async Task DivideAsync(TempFolder folder, string disk, long start)
    {
        await File.WriteAllTextAsync(folder["script"], $"label: dos\nstart={start / 512}, size={Length / 512}, type=c\n", Token);
        await FileSystemTool.RunAsync("sh", "-c", $"PATH=$PATH:/usr/sbin sfdisk -q --no-reread --no-tell-kernel {disk} < {folder["script"]} 2>&1");
    }

    private static RestorePlanner Planner() => new("here", "/vault", PathInspector.Inspect, _ => null, _ => long.MaxValue);

    private static RecoveryPoint PointOf(long length) => new()
    {
        Id = Guid.NewGuid(),
        SessionId = Guid.NewGuid(),
        Host = "elsewhere",
        Instant = DateTimeOffset.UnixEpoch,
        Written = DateTimeOffset.UnixEpoch,
        Volumes = [new() { Name = "data", Source = "/dev/source", Length = length, SectorSize = 512, Root = ChunkId.Hole, UsedBytes = 4096 }],
    };

    /// <summary>A disk behind a loop device whose one partition the kernel shows.</summary>
    private sealed class Target(string loop) : IAsyncDisposable
    {
        private readonly string _loop = loop;

        public string Partition => _loop + "p1";

        public static async Task<Target> MakeAsync(TempFolder folder, long start = To)
        {
            await FileSystemTool.RunAsync("truncate", "-s", $"{start + Length + (1 << 20)}", folder["target"]);
            await DivideAsync(folder, folder["target"], start);
            Target target = new((await FileSystemTool.RunAsync("losetup", "--partscan", "-f", "--show", folder["target"])).Trim());
            if (!File.Exists(target.Partition))
            {
                await FileSystemTool.RunAsync("addpart", target._loop, "1", $"{start / 512}", $"{Length / 512}"); // the kernel may know no partition table
            }

            return target;
        }

        public async ValueTask DisposeAsync() => await FileSystemTool.RunAsync("losetup", "-d", _loop);
    }
}
