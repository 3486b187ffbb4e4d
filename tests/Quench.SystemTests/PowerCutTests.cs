using System.Diagnostics;
using System.Globalization;
using Quench.Interop.Linux;
using Quench.SystemTests.Harness;
using Quench.SystemTests.PowerCut;
using Quench.Vault.Stores;
using Xunit;

namespace Quench.SystemTests;

/// <summary>
/// The power goes at any write: every write and flush of the disk below the vault's file system is recorded, and disks are made as a cut
/// would leave them. On each, the file system mounts and every point that had been acknowledged restores. QUENCH_CRASHES says how many disks on ext4;
/// a third of that on btrfs and a sixth on XFS, which take longer.
/// </summary>
public sealed class PowerCutTests
{
    private const int MutantBudget = 200; // disks within which a mutant must be caught
    private const int DisksOfOneLog = 1500; // then something new is recorded; it has fewer writes than that, so each of them is the last one once
    private const int Rounds = 4;
    private const int GoOnEvery = 8;
    private const int LogsOfALane = 1 << 20;

    /// <summary>
    /// XFS trusts the drive not to tear a block of its own: a metadata block whose first sector is new and whose others are old counts as newer than the
    /// log, is not recovered, and fails its checksum when the file system is mounted. Found here with parts of 512 bytes.
    /// Btrfs reads only the first of its superblocks when it is mounted, and a torn one fails its checksum: found here too.
    /// Lanes have a log each: two disks of one log have the same id, and no kernel mounts both. Btrfs has one lane, because it is told to forget the
    /// disks it has seen, and that concerns all of them.
    /// </summary>
    private static readonly Dictionary<string, (long Length, int Share, int TornUnit, int Lanes, string[] MakeOptions)> s_fileSystems = new()
    {
        ["ext4"] = (64L << 20, 1, 512, 2, ["-q", "-F"]),
        ["xfs"] = (320L << 20, 6, 4096, 2, ["-q", "-f"]),
        ["btrfs"] = (160L << 20, 3, 4096, 1, ["-q", "-f", "-m", "single"]),
    };

    [Theory]
    [InlineData("ext4")]
    [InlineData("xfs")]
    [InlineData("btrfs")]
    public async Task Whenever_the_power_goes_every_acknowledged_point_is_there(string fileSystem)
    {
        Demand(fileSystem);
        int seed = Chance.Seeds(1).Single();
        int count = Math.Max(4, Chance.Count("QUENCH_CRASHES", 30) / s_fileSystems[fileSystem].Share);
        int wide = s_fileSystems[fileSystem].Lanes;
        long since = Stopwatch.GetTimestamp();
        (int Tried, string? Fault)[] lanes = await Task.WhenAll(Enumerable.Range(0, wide).Select(lane =>
            Task.Run(() => RunLogsAsync(fileSystem, (count + lane) / wide, seed + (lane * LogsOfALane)))));
        int tried = lanes.Sum(lane => lane.Tried);
        string? fault = lanes.Select(lane => lane.Fault).FirstOrDefault(found => found is not null);
        TimeSpan taken = Stopwatch.GetElapsedTime(since);
        Figures.Say(string.Create(CultureInfo.InvariantCulture, $"power cuts on {fileSystem}, seed {seed}: {tried} disks in {taken.TotalSeconds:0.0} s, {tried / taken.TotalSeconds:0.0} a second: {fault ?? "nothing lost"}"));
        Assert.Null(fault);
    }

    [Theory]
    [InlineData("ext4", Mutant.NoDirectorySync)]
    [InlineData("ext4", Mutant.NoSync)]
    [InlineData("ext4", Mutant.PointBeforePacks)]
    [InlineData("xfs", Mutant.NoDirectorySync)]
    [InlineData("btrfs", Mutant.NoDirectorySync)]
    public async Task A_vault_that_is_written_wrongly_is_caught(string fileSystem, Mutant mutant)
    {
        Demand(fileSystem);
        int seed = Chance.Seeds(1).Single();
        (int tried, string? fault) = await RunAsync(fileSystem, mutant, MutantBudget, seed);
        Figures.Say($"{mutant} on {fileSystem}, seed {seed}: after {tried} disks: {fault ?? "not caught"}");
        Assert.NotNull(fault);
    }

    private static void Demand(string fileSystem)
    {
        Requires.Root();
        Requires.Fuse();
        Requires.Loop();
        Requires.Tool("mkfs." + fileSystem);
        Assert.SkipUnless(FaultPoint.Exists, "needs a debug build");
    }

    /// <summary>Records work, looks at disks, and records anew, until there have been enough disks or something is wrong.</summary>
    private static async Task<(int Tried, string? Fault)> RunLogsAsync(string fileSystem, int count, int seed)
    {
        int tried = 0;
        string? fault = null;
        for (int log = 0; tried < count && fault is null; log++)
        {
            (int more, fault) = await RunAsync(fileSystem, Mutant.None, Math.Min(DisksOfOneLog, count - tried), seed + log);
            tried += more;
        }

        return (tried, fault);
    }

    /// <summary>Records some work and looks at disks until something is wrong.</summary>
    /// <returns>How many disks were looked at, and what is wrong with the last one.</returns>
    private static async Task<(int Tried, string? Fault)> RunAsync(string fileSystem, Mutant mutant, int count, int seed)
    {
        (long length, _, _, _, string[] makeOptions) = s_fileSystems[fileSystem];
        using DiskHost host = new();
        RecordingDisk disk = new(length);
        VaultWork work;
        int start;
        await using (DiskHost.AttachedDisk attached = host.Attach(disk))
        {
            await Tool.RunAsync("mkfs." + fileSystem, [.. makeOptions, attached.Device]);
            Assert.Null(await attached.TryMountAsync(fileSystem));
            start = disk.Position;
            work = new VaultWork(host.MountPoint, () => disk.Position, folder => mutant == Mutant.PointBeforePacks ? new PacksLast(new LocalDirectory(folder)) : new LocalDirectory(folder));
            await RecordAsync(work, mutant, seed);
        }

        Assert.Null(host.Failure);
        return await InspectAsync(host, fileSystem, disk, work, start, count, seed);
    }

    private static async Task RecordAsync(VaultWork work, Mutant mutant, int seed)
    {
        FaultPoint.Set(Pretence.Of(mutant)); // for this method and what it calls
        Random random = new(seed);
        string[] kinds = [.. VaultWork.Kinds.Keys];
        await work.MakeVaultsAsync();
        await work.BackUpAsync();
        for (int round = 0; round < Rounds; round++)
        {
            random.Shuffle(kinds);
            foreach (string kind in kinds)
            {
                await VaultWork.Kinds[kind](work);
            }
        }
    }

    private static async Task<(int Tried, string? Fault)> InspectAsync(
        DiskHost host, string fileSystem, RecordingDisk disk, VaultWork work, int start, int count, int seed)
    {
        IReadOnlyList<LogRecord> log = disk.TakeLog();
        Random random = new(seed);
        CrashImages images = new(log, disk.Length, s_fileSystems[fileSystem].TornUnit, random);
        int tried = 0;
        foreach ((int position, Cut cut) in Choose(work, start, log.Count, count, random))
        {
            tried++;
            string? fault = await FindFaultAsync(host, fileSystem, images.At(position, cut), work, position, goOn: tried % GoOnEvery == 0);
            if (fault is not null)
            {
                return (tried, $"cut at {position} of {log.Count} ({cut}): {fault}");
            }
        }

        return (tried, null);
    }

    /// <summary>A third of the cuts come right after something was acknowledged, the others after any write, spread evenly over the log.</summary>
    private static List<(int Position, Cut Cut)> Choose(VaultWork work, int start, int end, int count, Random random)
    {
        int[] acknowledged = [work.MadeAt, .. work.Promises.Select(promise => promise.From).OfType<int>()];
        List<(int Position, Cut Cut)> cuts = [];
        for (int i = 0; i < count; i++)
        {
            int anywhere = start + (int)((long)(end - start) * i / Math.Max(1, count - 1));
            cuts.Add((i % 3 == 0 ? acknowledged[random.Next(acknowledged.Length)] : anywhere, (Cut)random.Next(3)));
        }

        cuts.Sort((a, b) => a.Position.CompareTo(b.Position));
        return cuts;
    }

    private static async Task<string?> FindFaultAsync(DiskHost host, string fileSystem, CrashDisk disk, VaultWork work, int position, bool goOn)
    {
        await using DiskHost.AttachedDisk attached = host.Attach(disk);
        if (await attached.TryMountAsync(fileSystem) is { } why)
        {
            return why;
        }

        foreach (string vault in (string[])[VaultWork.Main, VaultWork.Second, VaultWork.Rotting])
        {
            List<Promise> promises = [.. work.Promises.Where(promise => promise.Vault == vault)];
            string? fault = await Inspection.FindFaultAsync(
                Path.Combine(host.MountPoint, vault), work.MadeAt <= position, promises, promise => promise.IsDueAt(position),
                repair: vault == VaultWork.Rotting && work.MayBeRotten(position), goOn);
            if (fault is not null)
            {
                return $"{vault}: {fault}";
            }
        }

        return null;
    }
}
