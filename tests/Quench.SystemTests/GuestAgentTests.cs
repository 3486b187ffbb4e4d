using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text.Json;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Writers.GuestAgent;
using Quench.SystemTests.Guests;
using Quench.SystemTests.Harness;
using Quench.SystemTests.Writers;
using Xunit;

namespace Quench.SystemTests;

/// <summary>A virtual machine that writes, its disk on a volume that is taken, held by the real agent in it: what its disk is at the instant, and that it goes on whatever happens to us.</summary>
public sealed class GuestAgentTests : IDisposable
{
    private const int PartitionOffset = 1 << 20; // as scripts/guest/build makes it
    private const string Guest = "guest";

    private static readonly TimeSpan s_boot = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan s_watch = TimeSpan.FromSeconds(1.5);
    private static readonly TimeSpan s_slack = TimeSpan.FromSeconds(3); // the machine is one of software: a record takes it its time

    private readonly TempFolder _folder = new("agent");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string Agent => _folder["agent.sock"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_guest_is_held_by_its_agent_and_goes_on_whatever_happens_to_the_one_who_asked()
    {
        string disk = Requires.Guest();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, 3L << 29);
        string live = Path.Combine(volume.MountPoint, "guest.img");
        await Tool.RunAsync("cp", "--sparse=always", disk, live);
        string point;
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(_folder["vault"]);
        await using (GuestMachine guest = await GuestMachine.StartWithAgentAsync(_folder.Path, live, Agent))
        {
            await guest.WaitForLoginAsync();
            await guest.WaitForAsync(20);
            await WaitForAgentAsync();
            await ItStandsStillAsync(guest, volume);
            point = await ItIsImagedAsync(guest, volume, cli);
            await ItGoesOnAfterKillsAsync(guest, volume);
            await ItGoesOnAtTheLimitAsync(guest, volume);
            await ItIsThawedByTheOwnerOfADeadGuardAsync(guest, volume);
            await SomebodyElsesSocketIsSaidAsync(volume);
            await ItsDiskIsNotReplacedAsync(volume);
            await guest.WaitForAsync(guest.Done + 20);
        }

        await DemandCleanAsync(cli, point);
    }

    private (string Name, string Value)[] Settings(LiveVolume volume) => [("qemu.agents", $"{Guest}:{Agent}"), ($"qemu.folders.{Guest}", volume.MountPoint)];

    /// <summary>Between freeze and thaw no record becomes durable in the guest; after it they do.</summary>
    private async Task ItStandsStillAsync(GuestMachine guest, LiveVolume volume)
    {
        QuenchCli.LendToThisProcess();
        await using WriterDrive drive = await WriterDrive.FindAsync(volume.MountPoint, Settings(volume));
        Assert.Equal(1, drive.Count);
        await drive.FreezeAsync(volume.MountPoint, TimeSpan.FromSeconds(20));
        await Task.Delay(s_watch, Token); // what was on its way out of the guest arrives
        int still = guest.Done;
        await Task.Delay(s_watch, Token);
        Assert.Equal(still, guest.Done);
        HoldAnswer answer = Assert.Single(await drive.ThawAsync()).Value;
        Assert.True(answer.IsHeld, answer.Reason);
        await guest.WaitForAsync(still + 5);
        Figures.Say($"guest agent {drive.Metadata.Values.Single().Version}: held for {drive.Held.Values.Single().TotalMilliseconds:0} ms, {2 * s_watch.TotalMilliseconds:0} ms of which the test watched; no record in them");
    }

    private async Task<string> ItIsImagedAsync(GuestMachine guest, LiveVolume volume, QuenchCli cli)
    {
        int before = guest.Done;
        JsonElement summary = await cli.BackupAsync(volume.Name, [.. Settings(volume).SelectMany(setting => (string[])["--writer-option", $"{setting.Name}={setting.Value}"])]);
        Assert.Equal("application", summary.GetProperty("grade").GetString());
        Figures.Say($"guest agent: a backup of application grade; {string.Join(' ', summary.GetRawText().Split('\n'))}");
        await guest.WaitForAsync(before + 5);
        return summary.GetProperty("point").GetString()!;
    }

    private async Task ItGoesOnAfterKillsAsync(GuestMachine guest, LiveVolume volume)
    {
        List<double> waits = [];
        for (int kill = 0; kill < Chance.Count("QUENCH_WRITER_KILLS", 3); kill++)
        {
            using Process holder = await HoldAsync(volume, WriterHolder.LongestHold);
            int still = guest.Done;
            long since = Stopwatch.GetTimestamp();
            holder.Kill();
            await GoesOnAsync(guest, still, s_slack);
            waits.Add(Stopwatch.GetElapsedTime(since).TotalMilliseconds);
            await holder.WaitForExitAsync(Token);
        }

        Figures.Say($"guest agent: after the death of who held it, the next records were durable within {string.Join(", ", waits.Select(wait => $"{wait:0}"))} ms");
    }

    private async Task ItGoesOnAtTheLimitAsync(GuestMachine guest, LiveVolume volume)
    {
        TimeSpan limit = TimeSpan.FromSeconds(4);
        long since = Stopwatch.GetTimestamp();
        using Process holder = await HoldAsync(volume, limit);
        TimeSpan began = Stopwatch.GetElapsedTime(since);
        await Tool.RunAsync("kill", "-STOP", holder.Id.ToString(CultureInfo.InvariantCulture));
        since = Stopwatch.GetTimestamp();
        int still = guest.Done;
        await GoesOnAsync(guest, still, limit + s_slack);
        Figures.Say($"guest agent: a holder that hangs; its limit of {limit.TotalMilliseconds:0} ms began at most {began.TotalMilliseconds:0} ms before, and the next records were durable {Stopwatch.GetElapsedTime(since).TotalMilliseconds:0} ms after it hung");
        holder.Kill();
        await holder.WaitForExitAsync(Token);
    }

    private async Task ItIsThawedByTheOwnerOfADeadGuardAsync(GuestMachine guest, LiveVolume volume)
    {
        QuenchCli.LendToThisProcess();
        await using WriterDrive drive = await WriterDrive.FindAsync(volume.MountPoint, Settings(volume));
        await drive.FreezeAsync(volume.MountPoint, TimeSpan.FromSeconds(20));
        int still = guest.Done;
        long since = Stopwatch.GetTimestamp();
        await Tool.RunAsync("kill", "-KILL", drive.GuardProcess.ToString(CultureInfo.InvariantCulture));
        await GoesOnAsync(guest, still, s_slack);
        Figures.Say($"guest agent: the guard was killed, and the next records were durable {Stopwatch.GetElapsedTime(since).TotalMilliseconds:0} ms after it");
        Assert.False(Assert.Single(await drive.ThawAsync(demandDocuments: false)).Value.IsHeld);
    }

    /// <summary>While another client has the socket nobody answers: the writer says so in time, and holds nothing.</summary>
    private async Task SomebodyElsesSocketIsSaidAsync(LiveVolume volume)
    {
        using Socket somebody = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await somebody.ConnectAsync(new UnixDomainSocketEndPoint(Agent), Token);
        await using WriterDrive drive = await WriterDrive.FindAsync(volume.MountPoint, Settings(volume));
        long since = Stopwatch.GetTimestamp();
        WriterException failure = await Assert.ThrowsAsync<WriterException>(drive.IdentifyAsync);
        Assert.Equal(WriterError.NotResponding, failure.Error);
        Assert.InRange(Stopwatch.GetElapsedTime(since), TimeSpan.Zero, GuestAgentHold.AnswerLimit + s_slack);
        Figures.Say(failure.Message);
    }

    private async Task ItsDiskIsNotReplacedAsync(LiveVolume volume)
    {
        await using WriterDrive drive = await WriterDrive.FindAsync(volume.MountPoint, Settings(volume));
        WriterException failure = await Assert.ThrowsAsync<WriterException>(async () =>
            await drive.Find("QEMU", Guest).PreRestoreAsync(new RestoreOperation(Guid.Empty, [Guest], "/", []), Token));
        Assert.Contains("runs", failure.Message, StringComparison.Ordinal);
    }

    /// <summary>The disk in the restored image: frozen, so clean without a replay of its journal.</summary>
    private async Task DemandCleanAsync(QuenchCli cli, string point)
    {
        string image = _folder["restored.img"];
        await cli.RunAsync("restore", point, image);
        string mountPoint = _folder.MakeFolder("mnt");
        await Tool.RunAsync("mount", "-o", "loop,ro", image, mountPoint);
        try
        {
            string partition = $"{Path.Combine(mountPoint, "guest.img")}?offset={PartitionOffset}";
            string features = await Tool.RunAsync("dumpe2fs", "-h", partition);
            Assert.DoesNotContain("needs_recovery", features, StringComparison.Ordinal);
            ProcessResult check = await Tool.TryRunAsync("e2fsck", "-fn", partition);
            Assert.True(check.ExitCode == 0, check.ToString());
        }
        finally
        {
            await Tool.RunAsync("umount", mountPoint);
        }
    }

    private async Task<Process> HoldAsync(LiveVolume volume, TimeSpan limit)
    {
        QuenchCli.LendToThisProcess();
        Process holder = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, WriterHolder.Words(volume.MountPoint, limit, Settings(volume)))
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        await holder.StandardOutput.ReadLineAsync(Token); // it begins
        string? word = await holder.StandardOutput.ReadLineAsync(Token);
        Assert.True(word == "holds", word ?? await holder.StandardError.ReadToEndAsync(Token));
        return holder;
    }

    /// <summary>Two records more than those that may have been on their way out of the guest.</summary>
    private static Task GoesOnAsync(GuestMachine guest, int still, TimeSpan limit) => Wait.UntilAsync(() => guest.Done >= still + 2, limit, "the guest goes on");

    private async Task WaitForAgentAsync()
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(Token);
        limit.CancelAfter(s_boot);
        while (true)
        {
            try
            {
                using AgentLine line = await AgentCommands.BeginAsync(Agent, TimeSpan.FromSeconds(30), TimeProvider.System, limit.Token);
                return;
            }
            catch (WriterException)
            {
                // It is not up yet; what was said to nobody is passed over.
            }
        }
    }
}
