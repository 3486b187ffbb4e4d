using System.CommandLine;
using System.Globalization;
using Quench.Blocks;
using Quench.Cli.Output;
using Quench.Snapshots.Coordination;

namespace Quench.Cli.Commands.Writers;

/// <summary>quench writers: the applications that can be held for a backup.</summary>
internal static class WritersCommand
{
    public static Command Make(CliHost host) => new("writers", HelpText.Of("writers"))
    {
        new WritersListCommand(host, "list").Make(),
        new WritersListCommand(host, "status").Make(),
        new WritersTestCommand(host).Make(),
    };

    /// <summary>The file systems on devices of this machine, or those that are mounted at the given places.</summary>
    /// <exception cref="QuenchException">SRC-102, exit code 2: nothing is mounted at one of them.</exception>
    public static IReadOnlyList<OperationVolume> Volumes(IReadOnlyList<string>? mountPoints) => mountPoints is not { Count: > 0 }
        ? MountedFileSystems.All()
        : [.. mountPoints.Select(path => MountedFileSystems.FindAt(path) ?? throw new QuenchException(
            "SRC-102", $"nothing is mounted at {path}", "name a mount point: `findmnt --target` shows where a file system is mounted") { ExitCode = ExitCodes.Usage })];

    /// <summary>Words for the state of one writer: VSS's number and word, then why.</summary>
    public static string StateOf(WriterReport report) =>
        string.Create(CultureInfo.InvariantCulture, $"[{(int)report.State}] {WriterText.NameOf(report.State)}");

    /// <summary>The report in the shape that vssadmin prints.</summary>
    public static void WriteVssAdmin(TextWriter output, IReadOnlyList<WriterReport> reports)
    {
        foreach (WriterReport report in reports)
        {
            output.WriteLine($"Writer name: '{report.Identity}'");
            output.WriteLine($"   Writer Id: {{{report.Identity.Id:D}}}");
            output.WriteLine($"   Writer Instance Id: {{{report.Identity.InstanceId:D}}}");
            output.WriteLine($"   State: {StateOf(report)}");
            output.WriteLine($"   Last error: {WriterText.NameOf(report.Error)}");
            output.WriteLine();
        }
    }

    /// <summary>The report as one JSON line.</summary>
    public static void WriteJson(TextWriter output, IReadOnlyList<WriterReport> reports) => JsonLine.Write(output, json =>
    {
        json.WriteStartArray();
        foreach (WriterReport report in reports)
        {
            json.WriteStartObject();
            json.WriteString("name", report.Identity.Name);
            json.WriteString("instance", report.Identity.InstanceName);
            json.WriteString("id", report.Identity.Id.ToString("D"));
            json.WriteString("instance_id", report.Identity.InstanceId.ToString("D"));
            json.WriteString("version", report.Metadata?.Version);
            json.WriteString("method", report.Metadata?.Method);
            json.WriteNumber("state", (int)report.State);
            json.WriteNumber("error", (uint)report.Error);
            json.WriteString("message", report.Message);
            json.WriteBoolean("held", report.WasHeld);
            json.WriteStartArray("components");
            foreach (WriterComponent component in report.Metadata?.Components ?? [])
            {
                json.WriteStartObject();
                json.WriteString("name", component.Name);
                json.WriteStartArray("folders");
                foreach (ComponentFiles files in component.Files)
                {
                    json.WriteStringValue(files.Folder);
                }

                json.WriteEndArray();
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
    });
}
