using System.CommandLine;
using Quench.Cli.Output;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Store;

namespace Quench.Cli.Commands.Snapshots;

/// <summary>quench snapshot expose: a snapshot as a read-only block device.</summary>
internal static class SnapshotExposeCommand
{
    public static Command Make(CliHost host)
    {
        Argument<string> volume = SnapshotCommand.Volume();
        Argument<string> snapshot = SnapshotCommand.Snapshot();
        Option<bool> json = CommonOptions.Json();
        Command command = new("expose", HelpText.Of("snapshot-expose")) { volume, snapshot, json };
        command.Run(host, (parsed, _) =>
        {
            Privilege.Demand(host, "make a block device");
            AttachedVolume attached = SnapshotCommand.Find(parsed.GetValue(volume)!);
            KeptSnapshot found = PersistentSnapshots.Find(attached, parsed.GetValue(snapshot)!);
            string device = PersistentSnapshots.Expose(attached, found.Number);
            if (parsed.GetValue(json))
            {
                JsonLine.WriteMessage(host.Output, "exposed", writer =>
                {
                    writer.WriteString("volume", attached.Name);
                    writer.WriteNumber("number", found.Number);
                    writer.WriteString("device", device);
                });
                return Task.FromResult(ExitCodes.Done);
            }

            host.Error.WriteLine($"snapshot {found.Number} of {attached.Name} is a block device that can only be read; mount it beside the volume with");
            host.Error.WriteLine($"  ext4: mount -o ro,noload {device} DIR");
            host.Error.WriteLine($"  XFS:  mount -o ro,norecovery,nouuid {device} DIR");
            host.Error.WriteLine("  btrfs does not mount two copies of one file system: use `quench serve snapshot`, or a clone, on another machine");
            host.Output.WriteLine(device);
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }
}
