using System.CommandLine;
using Quench.Cli.Output;

namespace Quench.Cli.Commands;

/// <summary>quench providers: the ways in which an instant can be held.</summary>
internal static class ProvidersCommand
{
    private sealed record Provider(string Name, Guid Id, string Type, string Instant, string GoodFor);

    // The ids are ours and never change; they only serve programs that want one.
    private static readonly Provider[] s_providers =
    [
        new("filter", new Guid("b7a2d3f0-6a4e-4c0e-8f3b-0a6e5d1c7e01"), "Software", "start of the backup", "volumes attached through Quench"),
        new("tracked", new Guid("b7a2d3f0-6a4e-4c0e-8f3b-0a6e5d1c7e02"), "Software", "end of the backup", "any mounted device, as it stands"),
        new("cold", new Guid("b7a2d3f0-6a4e-4c0e-8f3b-0a6e5d1c7e03"), "System", "all the time", "devices and image files that nobody uses"),
    ];

    public static Command Make(CliHost host)
    {
        Option<bool> json = CommonOptions.Json();
        Option<string?> format = new("--format") { HelpName = "SHAPE", Description = "vssadmin: as `vssadmin list providers` prints it." };
        format.AcceptOnlyFromAmong("vssadmin");
        Command command = new("providers", HelpText.Of("providers")) { json, format };
        command.Run(host, (parsed, _) =>
        {
            if (parsed.GetValue(json))
            {
                WriteJson(host.Output);
            }
            else if (parsed.GetValue(format) is not null)
            {
                WriteVssAdmin(host.Output);
            }
            else
            {
                WriteTable(host.Output);
            }

            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    private static void WriteTable(TextWriter output)
    {
        TextTable table = new("PROVIDER", "TYPE", "INSTANT", "GOOD FOR");
        foreach (Provider provider in s_providers)
        {
            table.Add(provider.Name, provider.Type.ToLowerInvariant(), provider.Instant, provider.GoodFor);
        }

        table.WriteTo(output);
    }

    internal static void WriteVssAdmin(TextWriter output)
    {
        foreach (Provider provider in s_providers)
        {
            output.WriteLine($"Provider name: '{provider.Name}'");
            output.WriteLine($"   Provider type: {provider.Type}");
            output.WriteLine($"   Provider Id: {{{provider.Id:D}}}");
            output.WriteLine("   Version: 1.0");
            output.WriteLine();
        }
    }

    private static void WriteJson(TextWriter output) => JsonLine.Write(output, json =>
    {
        json.WriteStartArray();
        foreach (Provider provider in s_providers)
        {
            json.WriteStartObject();
            json.WriteString("name", provider.Name);
            json.WriteString("id", provider.Id.ToString("D"));
            json.WriteString("type", provider.Type.ToLowerInvariant());
            json.WriteString("instant", provider.Instant);
            json.WriteString("good_for", provider.GoodFor);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    });
}
