using System.CommandLine;
using Quench.Blocks;
using Quench.Cli.Commands.Snapshots;
using Quench.Cli.Output;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Store;

namespace Quench.Cli.Commands.Shadow;

/// <summary>quench shadow storage: where the shadow copies of each volume keep what they need.</summary>
internal static class ShadowStorageCommand
{
    public static Command Make(CliHost host)
    {
        Option<bool> json = CommonOptions.Json();
        Option<string?> format = ShadowListCommand.Format("as `vssadmin list shadowstorage` prints it.");
        Command command = new("storage", HelpText.Of("shadow-storage")) { json, format };
        command.Run(host, (parsed, _) =>
        {
            Privilege.Demand(host, "ask an attached volume for its snapshots");
            (AttachedVolume Volume, KeptSnapshotList List)[] volumes = [.. FilterVolumes.List()
                .Where(volume => volume.State == AttachmentState.Serving)
                .Select(volume => (volume, PersistentSnapshots.List(volume, measured: false)))
                .Where(one => one.Item2.StoreFolder is not null)];
            Write(host, volumes, parsed.GetValue(json), parsed.GetValue(format) is not null);
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    private static void Write(CliHost host, (AttachedVolume Volume, KeptSnapshotList List)[] volumes, bool json, bool vssAdmin)
    {
        if (json)
        {
            WriteJson(host.Output, volumes);
        }
        else if (volumes.Length == 0)
        {
            host.Error.WriteLine("no attached volume has a store");
        }
        else if (vssAdmin)
        {
            VssAdminText.WriteStorage(host.Output, volumes);
        }
        else
        {
            TextTable table = new("VOLUME", "COPIES", "USED", "MOST", "FOLDER");
            foreach ((AttachedVolume volume, KeptSnapshotList list) in volumes)
            {
                table.Add(volume.Name, list.Snapshots.Count.ToString(System.Globalization.CultureInfo.InvariantCulture), ByteSize.Format(list.UsedBytes), ByteSize.Format(list.CapBytes), list.StoreFolder!);
            }

            table.WriteTo(host.Output);
        }
    }

    private static void WriteJson(TextWriter output, (AttachedVolume Volume, KeptSnapshotList List)[] volumes) => JsonLine.Write(output, writer =>
    {
        writer.WriteStartArray();
        foreach ((AttachedVolume volume, KeptSnapshotList list) in volumes)
        {
            writer.WriteStartObject();
            writer.WriteString("volume", volume.Name);
            SnapshotText.Write(writer, list);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    });
}
