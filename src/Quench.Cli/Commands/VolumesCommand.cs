using System.CommandLine;
using Quench.Blocks;
using Quench.Cli.Output;
using Quench.Snapshots.Providers.Filter;

namespace Quench.Cli.Commands;

/// <summary>quench volumes: the attached volumes.</summary>
internal static class VolumesCommand
{
    public static Command Make(CliHost host)
    {
        Option<bool> json = CommonOptions.Json();
        Command command = new("volumes", HelpText.Of("volumes")) { json };
        command.Run(host, (parsed, _) =>
        {
            IReadOnlyList<AttachedVolume> volumes = FilterVolumes.List();
            if (parsed.GetValue(json))
            {
                WriteJson(host.Output, volumes);
            }
            else
            {
                WriteTable(host, volumes);
            }

            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    private static void WriteTable(CliHost host, IReadOnlyList<AttachedVolume> volumes)
    {
        if (volumes.Count == 0)
        {
            host.Error.WriteLine("no volume is attached");
            return;
        }

        TextTable table = new("NAME", "DEVICE", "SIZE", "MOUNTED AT", "STATE", "ORIGIN");
        foreach (AttachedVolume volume in volumes)
        {
            table.Add(volume.Name, volume.Device, ByteSize.Format(volume.Length), volume.MountPoint ?? "", Text(volume.State), volume.Origin);
        }

        table.WriteTo(host.Output);
    }

    private static string Text(AttachmentState state) => state == AttachmentState.Serving ? "serving" : "dead";

    private static void WriteJson(TextWriter output, IReadOnlyList<AttachedVolume> volumes) => JsonLine.Write(output, writer =>
    {
        writer.WriteStartArray();
        foreach (AttachedVolume volume in volumes)
        {
            writer.WriteStartObject();
            writer.WriteString("name", volume.Name);
            writer.WriteString("device", volume.Device);
            writer.WriteNumber("length", volume.Length);
            writer.WriteString("mount_point", volume.MountPoint);
            writer.WriteString("state", Text(volume.State));
            writer.WriteString("origin", volume.Origin);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    });
}
