using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Interop.Linux;
using Quench.Snapshots;
using Quench.Snapshots.Providers.Filter;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests;

/// <summary>
/// What the filter says has changed, against a comparison of all bytes: over snapshots, detaches, the worker's death. QUENCH_TRACKING_ROUNDS says how often.
/// </summary>
public sealed class ChangeTrackingTests
{
    private const long Length = 192L << 20;
    private const int Block = 4096;

    private static readonly Guid s_vault = new("7b7e52ae-2b70-4f2c-9f0e-0c8b1bd0a001");

    /// <summary>What happens between the point and the next snapshot.</summary>
    public enum Between
    {
        /// <summary>Only writes.</summary>
        Nothing,

        /// <summary>A detach in order.</summary>
        CleanDetach,

        /// <summary>The worker is killed while it writes.</summary>
        WorkerKilled,

        /// <summary>Somebody writes to the origin while it is detached.</summary>
        ForeignWrite,

        /// <summary>The same after the worker's death.</summary>
        ForeignWriteAfterKill,
    }

    [Theory]
    [InlineData(Between.Nothing)]
    [InlineData(Between.CleanDetach)]
    [InlineData(Between.WorkerKilled)]
    public async Task What_differs_between_a_point_and_an_instant_is_in_the_answer(Between between)
    {
        Requires.LiveVolumes();
        int rounds = Chance.Count("QUENCH_TRACKING_ROUNDS", 2);
        foreach (int seed in Chance.Seeds(rounds))
        {
            Random random = new(seed);
            await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, Length);
            Live(volume.MountPoint, random, 60);
            (Guid point, byte[] then, UsedBlocks used) = await RememberAsync(volume, random);
            Live(volume.MountPoint, random, 40);
            await PassAsync(volume, between, random);
            Live(volume.MountPoint, random, 20);

            await using ISnapshot snapshot = await volume.SnapshotAsync(new SnapshotOptions { MemoryBytes = 64 << 20 });
            VolumeChanges changes = await ((IChangeHistory)snapshot).GetChangesAsync(s_vault, CancellationToken.None);
            byte[] now = await ReadAsync(snapshot);

            Assert.True(changes.Point == point, $"seed {seed}: {changes.Doubt}");
            Assert.Equal(used.Runs(), changes.UsedThen!.Runs());
            DemandNamed(changes, then, now, seed);
            Assert.Equal(between == Between.WorkerKilled, changes.Doubt is not null);
            Assert.InRange(changes.Changed!.TotalLength, 1, Length / 2);
            Figures.Say($"seed {seed}, {between}: {changes.Changed.TotalLength >> 10} KiB changed, {changes.Doubtful!.TotalLength >> 10} KiB doubtful");
        }
    }

    [Theory]
    [InlineData(Between.ForeignWrite)]
    [InlineData(Between.ForeignWriteAfterKill)]
    public async Task A_write_to_the_origin_while_it_is_detached_makes_everything_doubtful(Between between)
    {
        Requires.LiveVolumes();
        int seed = Chance.Seeds(1).Single();
        Random random = new(seed);
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, Length);
        Live(volume.MountPoint, random, 20);
        await RememberAsync(volume, random);
        await PassAsync(volume, between, random);

        await using ISnapshot snapshot = await volume.SnapshotAsync(new SnapshotOptions { MemoryBytes = 64 << 20 });
        VolumeChanges changes = await ((IChangeHistory)snapshot).GetChangesAsync(s_vault, CancellationToken.None);

        Assert.Null(changes.Point);
        Assert.Contains("the origin was written", changes.Doubt, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_new_point_of_the_same_vault_counts_from_its_own_instant()
    {
        Requires.LiveVolumes();
        int seed = Chance.Seeds(1).Single();
        Random random = new(seed);
        await using LiveVolume volume = await LiveVolume.CreateAsync(
            VolumeKind.Ext4, Length, ["-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"]); // a kernel that fills tables behind our back changes more than we do
        Live(volume.MountPoint, random, 40);
        await RememberAsync(volume, random);
        Live(volume.MountPoint, random, 40);
        (Guid point, byte[] then, _) = await RememberAsync(volume, random);
        WriteOne(volume.MountPoint, "one more", random, Block);

        await using ISnapshot snapshot = await volume.SnapshotAsync(new SnapshotOptions { MemoryBytes = 64 << 20 });
        VolumeChanges changes = await ((IChangeHistory)snapshot).GetChangesAsync(s_vault, CancellationToken.None);

        Assert.Equal(point, changes.Point);
        DemandNamed(changes, then, await ReadAsync(snapshot), seed);
        Assert.InRange(changes.Changed!.TotalLength, 1, 4 << 20);
        Assert.Null((await ((IChangeHistory)snapshot).GetChangesAsync(Guid.NewGuid(), CancellationToken.None)).Point);
    }

    [Fact]
    public async Task A_volume_attached_without_tracking_says_so_and_forgets()
    {
        Requires.LiveVolumes();
        Random random = new(Chance.Seeds(1).Single());
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, Length);
        await RememberAsync(volume, random);
        Assert.NotNull(FilterVolumes.GetTracking(volume.Attached)!.Point);
        await volume.DetachCleanlyAsync();
        await volume.AttachAgainAsync(new AttachOptions { TracksChanges = false });

        await using (ISnapshot snapshot = await volume.SnapshotAsync(new SnapshotOptions { MemoryBytes = 64 << 20 }))
        {
            VolumeChanges changes = await ((IChangeHistory)snapshot).GetChangesAsync(s_vault, CancellationToken.None);
            Assert.Contains("--no-track", changes.Doubt, StringComparison.Ordinal);
            await ((IChangeHistory)snapshot).RememberAsync(s_vault, Guid.NewGuid(), UsedBlocks.All(Length), CancellationToken.None); // keeps nothing, harms nothing
        }

        Assert.False(FilterVolumes.GetTracking(volume.Attached)!.IsOn);
        Assert.False(Directory.Exists(TrackingState.Of(volume.Name)));
    }

    [Fact]
    public async Task A_block_device_is_believed_as_long_as_the_kernel_counts_no_write_to_it()
    {
        Requires.LiveVolumes();
        QuenchCli.LendToThisProcess();
        using TempFolder folder = new("tracked-device");
        using (SafeFileHandle file = NativeFile.Open(folder["origin.img"], OpenMode.WriteOnly | OpenMode.Create))
        {
            NativeFile.SetLength(file, Length);
        }

        await using LoopedFile origin = await LoopedFile.AttachAsync(folder["origin.img"]);
        string name = $"tracked-{Environment.ProcessId}"; // not a name that Leftovers takes down: it removes the origin's folder, and ours is /dev
        try
        {
            await OnAttachedAsync(origin, name, async history => await history.RememberAsync(s_vault, Guid.NewGuid(), UsedBlocks.All(Length), CancellationToken.None));
            await OnAttachedAsync(origin, name, async history =>
            {
                VolumeChanges changes = await history.GetChangesAsync(s_vault, CancellationToken.None);
                Assert.NotNull(changes.Point);
                Assert.True(changes.Changed!.Overlaps(new Extent(8 << 20, Block)), "what was written after the point, before the detach");
                Assert.Null(changes.Doubt);
            });
            Write(origin.Device, 16 << 20);
            await OnAttachedAsync(origin, name, async history =>
                Assert.Contains("the origin was written", (await history.GetChangesAsync(s_vault, CancellationToken.None)).Doubt, StringComparison.Ordinal));
        }
        finally
        {
            TrackingState.Clear(name);
        }
    }

    /// <summary>Attaches a device, has something done with a snapshot, writes at 8 MiB, and detaches.</summary>
    private static async Task OnAttachedAsync(LoopedFile origin, string name, Func<IChangeHistory, Task> action)
    {
        AttachedVolume volume = await FilterAttachment.AttachAsync(origin.Device, name, new AttachOptions(), CancellationToken.None);
        try
        {
            await using ISnapshot snapshot = await FilterProvider.TakeAsync(volume, new SnapshotOptions { MemoryBytes = 64 << 20 }, TimeProvider.System, CancellationToken.None);
            await action((IChangeHistory)snapshot);
            Write(volume.Device, 8 << 20);
        }
        finally
        {
            await FilterAttachment.DetachAsync(name, CancellationToken.None);
        }
    }

    private static void Write(string device, long offset)
    {
        using SafeFileHandle file = NativeFile.Open(device, OpenMode.WriteOnly);
        NativeFile.Write(file, new byte[Block], offset);
        NativeFile.Sync(file);
    }

    private static async Task PassAsync(LiveVolume volume, Between between, Random random)
    {
        switch (between)
        {
            case Between.CleanDetach:
                await volume.DetachCleanlyAsync();
                await volume.AttachAgainAsync();
                break;
            case Between.WorkerKilled:
                Task busy = Task.Run(() => LiveUntilItFails(volume.MountPoint, new Random(random.Next())));
                await volume.KillAllAsync();
                await busy;
                await volume.DetachDeadAsync();
                await volume.AttachAgainAsync();
                break;
            case Between.ForeignWrite:
                await volume.DetachCleanlyAsync();
                WriteFromOutside(volume, random);
                await volume.AttachAgainAsync();
                break;
            case Between.ForeignWriteAfterKill:
                await volume.KillAllAsync();
                await volume.DetachDeadAsync();
                WriteFromOutside(volume, random);
                await volume.AttachAgainAsync();
                break;
        }
    }

    /// <summary>A block in the middle of nowhere: the file system does not miss it.</summary>
    private static void WriteFromOutside(LiveVolume volume, Random random)
    {
        using SafeFileHandle file = NativeFile.Open(volume.Origin, OpenMode.WriteOnly);
        byte[] block = new byte[Block];
        random.NextBytes(block);
        NativeFile.Write(file, block, Length - (8 * Block));
    }

    private static async Task<(Guid Point, byte[] Content, UsedBlocks Used)> RememberAsync(LiveVolume volume, Random random)
    {
        await using ISnapshot snapshot = await volume.SnapshotAsync(new SnapshotOptions { MemoryBytes = 64 << 20 });
        UsedBlocks used = new(Length, Block);
        for (int run = 0; run < 1000; run++)
        {
            used.Add(new Extent(random.NextInt64(Length - Block), 1 + random.Next(Block)));
        }

        byte[] content = await ReadAsync(snapshot);
        Guid point = Guid.NewGuid();
        await ((IChangeHistory)snapshot).RememberAsync(s_vault, point, used, CancellationToken.None);
        return (point, content, used);
    }

    private static async Task<byte[]> ReadAsync(ISnapshot snapshot)
    {
        byte[] content = new byte[Length];
        for (int at = 0; at < content.Length; at += 1 << 20)
        {
            await snapshot.Reader.ReadAsync(at, content.AsMemory(at, 1 << 20), CancellationToken.None);
        }

        return content;
    }

    private static void DemandNamed(VolumeChanges changes, byte[] then, byte[] now, int seed)
    {
        for (int at = 0; at < then.Length; at += Block)
        {
            Extent block = new(at, Block);
            if (!then.AsSpan(at, Block).SequenceEqual(now.AsSpan(at, Block)))
            {
                Assert.True(changes.Changed!.Overlaps(block) || changes.Doubtful!.Overlaps(block), $"seed {seed}: the block at {at} differs, and nobody says so");
            }
        }
    }

    /// <summary>A while of ordinary use: files written, overwritten in place, made durable or not, deleted, their room discarded.</summary>
    private static void Live(string mountPoint, Random random, int steps)
    {
        for (int step = 0; step < steps; step++)
        {
            string name = $"file-{random.Next(12)}";
            if (random.Next(6) == 0)
            {
                File.Delete(Path.Combine(mountPoint, name));
            }
            else
            {
                WriteOne(mountPoint, name, random, 1 + random.Next(256 << 10));
            }
        }
    }

    /// <summary>Writes through to the device until that answers errors, as it does when its worker has died.</summary>
    private static void LiveUntilItFails(string mountPoint, Random random)
    {
        try
        {
            while (true)
            {
                using SafeFileHandle file = NativeFile.Open(Path.Combine(mountPoint, $"busy-{random.Next(12)}"), OpenMode.WriteOnly | OpenMode.Create);
                NativeFile.Write(file, new byte[1 + random.Next(64 << 10)], random.Next(8 << 20));
                NativeFile.Sync(file);
            }
        }
        catch (LinuxErrorException)
        {
            // The worker is dead, or the file system has gone with it.
        }
    }

    private static void WriteOne(string mountPoint, string name, Random random, int length)
    {
        using SafeFileHandle file = NativeFile.Open(Path.Combine(mountPoint, name), OpenMode.WriteOnly | OpenMode.Create);
        byte[] bytes = new byte[length];
        random.NextBytes(bytes);
        int at = random.Next(1 << 20);
        NativeFile.Write(file, bytes, at);
        if (random.Next(3) == 0)
        {
            NativeFile.Sync(file);
        }

        if (random.Next(5) == 0)
        {
            NativeFile.TryPunchHole(file, at, Math.Min(length, 64 << 10));
        }
    }
}
