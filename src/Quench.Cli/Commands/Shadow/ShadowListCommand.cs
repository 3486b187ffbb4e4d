using System.CommandLine;
using Quench.Cli.Commands.Snapshots;
using Quench.Cli.Output;
using Quench.Imaging.Capture;

namespace Quench.Cli.Commands.Shadow;

/// <summary>quench shadow list: sets and their shadow copies.</summary>
internal static class ShadowListCommand
{
    public static Command Make(CliHost host)
    {
        Argument<string?> id = new("ID") { Description = "A shadow copy's id or a set's; all of them when not given.", Arity = ArgumentArity.ZeroOrOne };
        Option<bool> json = CommonOptions.Json();
        Option<string?> format = Format("as `vssadmin list shadows` prints it.");
        Command command = new("list", HelpText.Of("shadow-list")) { id, json, format };
        command.Run(host, (parsed, _) =>
        {
            Privilege.Demand(host, "ask an attached volume for its snapshots");
            IReadOnlyList<ShadowCopy> copies = parsed.GetValue(id) is { } one ? ShadowCopies.Find(one, measured: true) : ShadowCopies.All(measured: true);
            Write(host, copies, parsed.GetValue(json), parsed.GetValue(format) is not null);
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    /// <summary>The option that asks for another tool's shape.</summary>
    /// <param name="like">How it looks: a sentence that follows the shape's name.</param>
    internal static Option<string?> Format(string like)
    {
        Option<string?> format = new("--format") { HelpName = "SHAPE", Description = $"vssadmin: {like}" };
        format.AcceptOnlyFromAmong("vssadmin");
        return format;
    }

    private static void Write(CliHost host, IReadOnlyList<ShadowCopy> copies, bool json, bool vssAdmin)
    {
        if (json)
        {
            WriteJson(host.Output, copies);
        }
        else if (copies.Count == 0)
        {
            host.Error.WriteLine("there are no shadow copies");
        }
        else if (vssAdmin)
        {
            VssAdminText.WriteShadows(host.Output, host.MachineName, copies);
        }
        else
        {
            WriteTable(host.Output, copies);
        }
    }

    private static void WriteTable(TextWriter output, IReadOnlyList<ShadowCopy> copies)
    {
        TextTable table = new("SET", "SHADOW COPY", "VOLUME", "INSTANT", "GRADE", "LABEL", "DEVICE");
        foreach (ShadowCopy copy in copies)
        {
            table.Add(
                copy.SetId.ToString("D"), copy.Snapshot.Id.ToString("D"), copy.Volume.Name, SnapshotText.Of(copy.Snapshot.Instant), GradeText.Of(copy.Snapshot.Grade), copy.Snapshot.Label,
                SnapshotText.State(copy.Snapshot));
        }

        table.WriteTo(output);
    }

    private static void WriteJson(TextWriter output, IReadOnlyList<ShadowCopy> copies) => JsonLine.Write(output, writer =>
    {
        writer.WriteStartArray();
        foreach (ShadowCopy copy in copies)
        {
            writer.WriteStartObject();
            SnapshotText.Write(writer, copy.Snapshot);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    });
}
