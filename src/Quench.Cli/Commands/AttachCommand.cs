using System.CommandLine;
using Quench.Blocks;
using Quench.Cli.Output;
using Quench.Imaging.Sources;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Store;

namespace Quench.Cli.Commands;

/// <summary>quench attach: puts the filter between a device and its users.</summary>
internal static class AttachCommand
{
    public static Command Make(CliHost host)
    {
        Argument<string> origin = new("DEVICE-OR-FILE") { Description = "The device or image file whose volume is to be used through Quench." };
        Option<string> name = new("--name") { HelpName = "NAME", Description = "What the volume is called from now on.", Required = true };
        Option<bool> noTrack = new("--no-track") { Description = "Do not track changes: each backup reads everything. Forgets what was tracked before." };
        Option<bool> withoutSupervisor = new("--without-supervisor")
        {
            Description = "For kernels before Linux 6.9: when the process that serves the volume dies, its users see I/O errors, and nobody replaces it.",
        };
        Command command = new("attach", HelpText.Of("attach")) { origin, name, noTrack, withoutSupervisor };
        command.Run(host, async (parsed, cancellationToken) =>
        {
            Privilege.Demand(host, "attach a volume");
            AttachedVolume volume = await FilterAttachment.AttachAsync(
                parsed.GetValue(origin)!, parsed.GetValue(name)!, Options(parsed.GetValue(noTrack), parsed.GetValue(withoutSupervisor)), cancellationToken);
            if (FilterVolumes.GetTracking(volume) is { IsOn: false } tracking && !parsed.GetValue(noTrack))
            {
                host.Error.WriteLine($"changes are not tracked, so each backup reads everything: {tracking.Reason}");
            }

            TellLostSnapshots(host, volume);
            await ShowPartitionsAsync(host, volume, cancellationToken);
            host.Error.WriteLine($"attached {volume.Origin} as {volume.Name}; use this device instead of it:");
            host.Output.WriteLine(volume.Device);
            return ExitCodes.Done;
        });
        return command;
    }

    private static AttachOptions Options(bool noTrack, bool withoutSupervisor) => new() { TracksChanges = !noTrack, IsSupervised = !withoutSupervisor };

    /// <summary>Of a disk the partitions are what is mounted; the disk is attached whether they can be shown or not.</summary>
    private static async Task ShowPartitionsAsync(CliHost host, AttachedVolume volume, CancellationToken cancellationToken)
    {
        try
        {
            if (await DiskPartitions.ShowAsync(volume, cancellationToken) is > 0 and int count)
            {
                host.Error.WriteLine($"it is a disk with {count} partitions: {volume.Device}p1 and so on, by their numbers, are the devices to mount");
            }
        }
        catch (IOException failure)
        {
            host.Error.WriteLine($"its partitions can't be shown as devices: {failure.Message}");
        }
    }

    /// <summary>Snapshots never go silently: whoever attaches the volume again is told first.</summary>
    private static void TellLostSnapshots(CliHost host, AttachedVolume volume)
    {
        try
        {
            foreach (KeptSnapshot gone in PersistentSnapshots.List(volume, measured: false).Snapshots.Where(snapshot => snapshot.Gone is not null))
            {
                host.Error.WriteLine($"snapshot {gone.Number} of {volume.Name} is gone: {gone.Gone}");
            }
        }
        catch (QuenchException failure)
        {
            host.Error.Write(ErrorText.Render(failure)); // the volume is attached all the same
        }
    }
}
