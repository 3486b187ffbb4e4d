using System.Diagnostics;
using System.Text.Json;
using Quench.SystemTests.Guests;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests;

/// <summary>A machine that runs is imaged from its disk's side, and nobody in it knows: the image boots.</summary>
public sealed class GuestTests : IDisposable
{
    private const int PartitionOffset = 1 << 20; // as scripts/guest/build makes it
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(3);

    private readonly TempFolder _folder = new("guest");

    private string Socket => _folder["nbd.sock"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_running_machines_disk_is_imaged_hot_and_the_image_boots_clean_with_all_that_was_durable()
    {
        string disk = Requires.Guest();
        Requires.Tool("nbdcopy");
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Raw, new FileInfo(disk).Length);
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(_folder["vault"]);
        (string Point, int Before, int After)[] points;
        await using (await NbdServing.StartAsync(cli, Socket, "volume", volume.Name))
        {
            await Tool.RunAsync("nbdcopy", "--flush", disk, NbdServing.UriOf(Socket));
            await using GuestMachine guest = await GuestMachine.StartAsync(_folder.Path, "live", $"file.driver=nbd,file.server.type=unix,file.server.path={Socket}", "write");
            await guest.WaitForLoginAsync();
            Figures.Say($"guest: at its login prompt after {guest.Age.TotalSeconds:0} s, on an attached volume over NBD");
            points = [await BackupAsync(cli, volume, guest, atRecord: 100), await BackupAsync(cli, volume, guest, atRecord: 1500)];
            await guest.WaitForAsync(guest.Done + 200); // production goes on
        }

        await DemandAsync(volume.Device, points[1].After, int.MaxValue); // the live disk after a power cut
        foreach ((string point, int before, int after) in points)
        {
            string restored = _folder[point[..8] + ".img"];
            await cli.RunAsync("restore", point, restored);
            if (point == points[^1].Point)
            {
                await BootAsync(restored, before, after);
            }

            await DemandAsync(restored, before, after);
            File.Delete(restored);
        }
    }

    private static async Task<(string Point, int Before, int After)> BackupAsync(QuenchCli cli, LiveVolume volume, GuestMachine guest, int atRecord)
    {
        await guest.WaitForAsync(atRecord);
        int before = guest.Done;
        long since = Stopwatch.GetTimestamp();
        JsonElement summary = await cli.BackupAsync(volume.Name);
        int after = guest.Done;
        Figures.Say($"guest: a backup took {Stopwatch.GetElapsedTime(since).TotalSeconds:0.0} s, in which the machine made records {before} to {after} durable");
        return (summary.GetProperty("point").GetString()!, before, after);
    }

    /// <summary>The image as a machine: its own kernel replays the journal, its own program finds all records.</summary>
    private async Task BootAsync(string image, int before, int after)
    {
        await using GuestMachine guest = await GuestMachine.StartAsync(_folder.Path, "restored", $"file={image}", "check");
        await guest.WaitForLoginAsync();
        int found = await guest.Found.WaitAsync(s_limit);
        Figures.Say($"guest: the image was at its login prompt after {guest.Age.TotalSeconds:0} s, with all records to {found}");
        Assert.InRange(found, before, after + 1);
        await guest.SwitchOffAsync();
        ProcessResult check = await Tool.TryRunAsync("e2fsck", "-fn", $"{image}?offset={PartitionOffset}"); // as the machine left it, before anybody else mounts it
        Assert.True(check.ExitCode == 0, check.ToString());
    }

    /// <summary>The disk from outside: its file system mounts, has all records, and its own checker finds nothing to say.</summary>
    private async Task DemandAsync(string disk, int before, int after)
    {
        string partition = $"loop,offset={PartitionOffset}";
        string mountPoint = _folder.MakeFolder("mnt");
        await Tool.RunAsync("mount", "-o", partition, disk, mountPoint);
        try
        {
            Assert.InRange(GuestRecords.Demand(Path.Combine(mountPoint, "var/lib/records")), before, after == int.MaxValue ? after : after + 1);
        }
        finally
        {
            await Tool.RunAsync("umount", mountPoint);
        }

        ProcessResult check = await Tool.TryRunAsync("e2fsck", "-fn", $"{disk}?offset={PartitionOffset}");
        Assert.True(check.ExitCode == 0, check.ToString());
    }
}
