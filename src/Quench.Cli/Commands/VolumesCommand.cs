using System.CommandLine;
using System.Text.Json;
using Quench.Blocks;
using Quench.Cli.Commands.Shadow;
using Quench.Cli.Output;
using Quench.Snapshots.Providers.Filter;

namespace Quench.Cli.Commands;

/// <summary>quench volumes: the attached volumes.</summary>
internal static class VolumesCommand
{
    public static Command Make(CliHost host)
    {
        Option<bool> json = CommonOptions.Json();
        Option<string?> format = ShadowListCommand.Format("as `vssadmin list volumes` prints it.");
        Command command = new("volumes", HelpText.Of("volumes")) { json, format, VolumesUpgradeCommand.Make(host) };
        command.Run(host, (parsed, _) =>
        {
            IReadOnlyList<AttachedVolume> volumes = FilterVolumes.List();
            if (parsed.GetValue(json))
            {
                WriteJson(host.Output, volumes);
            }
            else if (parsed.GetValue(format) is not null)
            {
                VssAdminText.WriteVolumes(host.Output, volumes);
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

        TextTable table = new("NAME", "DEVICE", "SIZE", "MOUNTED AT", "STATE", "WORKER", "TRACKING", "ORIGIN");
        foreach (AttachedVolume volume in volumes)
        {
            VolumeSupervision? supervision = FilterVolumes.GetSupervision(volume);
            table.Add(
                volume.Name, volume.Device, ByteSize.Format(volume.Length), volume.MountPoint ?? "", SupervisionDisplay.State(volume, supervision),
                SupervisionDisplay.Worker(supervision, host.Clock), Text(FilterVolumes.GetTracking(volume)), volume.Origin);
        }

        table.WriteTo(host.Output);
    }

    private static string Text(VolumeTracking? tracking) => tracking switch
    {
        null => "",
        { IsOn: false } => "off",
        { ChangedBytes: null } => "on, no point yet",
        { DoubtfulBytes: > 0 } => $"on, {ByteSize.Format(tracking.ChangedBytes.Value)} changed, {ByteSize.Format(tracking.DoubtfulBytes)} doubtful",
        _ => $"on, {ByteSize.Format(tracking.ChangedBytes.Value)} changed",
    };

    private static void WriteTracking(Utf8JsonWriter writer, VolumeTracking? tracking)
    {
        if (tracking is null)
        {
            writer.WriteNull("tracking");
            return;
        }

        writer.WriteStartObject("tracking");
        writer.WriteBoolean("on", tracking.IsOn);
        writer.WriteString("reason", tracking.Reason);
        writer.WriteString("point", tracking.Point?.ToString("N"));
        if (tracking.ChangedBytes is { } changed)
        {
            writer.WriteNumber("changed_bytes", changed);
        }
        else
        {
            writer.WriteNull("changed_bytes");
        }

        writer.WriteNumber("doubtful_bytes", tracking.DoubtfulBytes);
        writer.WriteEndObject();
    }

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
            VolumeSupervision? supervision = FilterVolumes.GetSupervision(volume);
            writer.WriteString("state", SupervisionDisplay.State(volume, supervision));
            writer.WriteString("origin", volume.Origin);
            SupervisionDisplay.WriteJson(writer, supervision);
            WriteTracking(writer, FilterVolumes.GetTracking(volume));
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    });
}
