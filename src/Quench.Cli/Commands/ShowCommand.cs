using System.CommandLine;
using System.Globalization;
using Quench.Blocks;
using Quench.Cli.Output;
using Quench.Vault;

namespace Quench.Cli.Commands;

/// <summary>quench show: all that is known of a recovery point.</summary>
internal static class ShowCommand
{
    public static Command Make(CliHost host)
    {
        Argument<string> name = new("POINT") { Description = "The first digits of the point's id, or latest." };
        Option<string?> vault = CommonOptions.Vault();
        Option<bool> json = CommonOptions.Json();
        Option<bool> documents = new("--documents") { Description = "Print the writer metadata document and the backup components document instead, as they are sealed in the point." };
        Command command = new("show", HelpText.Of("show")) { name, vault, json, documents };
        command.Run(host, async (parsed, cancellationToken) =>
        {
            await using OpenVault open = await OpenVault.OpenAsync(parsed, vault, host, cancellationToken);
            RecoveryPoint point = await open.FindAsync(parsed.GetValue(name)!, cancellationToken);
            VaultChecks checks = await open.Vault.ReadChecksAsync(cancellationToken);
            if (parsed.GetValue(documents))
            {
                WriteDocuments(host, point);
            }
            else if (parsed.GetValue(json))
            {
                PointJson.WriteOne(host.Output, point, checks);
            }
            else
            {
                WriteWords(host.Output, point, checks);
            }

            return ExitCodes.Done;
        });
        return command;
    }

    private static void WriteWords(TextWriter output, RecoveryPoint point, VaultChecks checks)
    {
        output.WriteLine($"point    {point.Id:N}");
        output.WriteLine($"host     {point.Host}");
        output.WriteLine($"instant  {point.Instant.ToString("O", CultureInfo.InvariantCulture)}");
        output.WriteLine($"tags     {(point.Tags.Count == 0 ? "-" : string.Join(", ", point.Tags))}");
        foreach (PointCheck check in checks.Of(point))
        {
            string at = check.At.ToString("O", CultureInfo.InvariantCulture);
            output.WriteLine($"verified {DamageText.NameOf(check.Level)} {at}{(check.IsSound ? "" : ", damaged")}");
        }

        foreach (VolumeRecord volume in point.Volumes)
        {
            output.WriteLine();
            foreach ((string name, string value) in Facts(volume).Where(fact => fact.Value.Length > 0))
            {
                output.WriteLine($"{name,-14}{value}");
            }

            foreach (string line in volume.Exclusions is { } left ? ExclusionText.Details(left) : [])
            {
                output.WriteLine($"{"left out",-14}{line}");
            }

            if (volume.Disk is { } disk)
            {
                output.WriteLine();
                DiskPicture.Write(output, disk, volume.Length, used: null);
            }
        }

        WriteCoordination(output, point.Coordination);
    }

    private static void WriteCoordination(TextWriter output, CoordinationRecord? coordination)
    {
        if (coordination is null)
        {
            return;
        }

        output.WriteLine();
        foreach (string line in WriterRecordText.Words(coordination))
        {
            output.WriteLine(line);
        }

        foreach (WriterRecord writer in coordination.Writers)
        {
            output.WriteLine();
            output.WriteLine($"writer        {writer.Name} {writer.Version}".TrimEnd());
            foreach (string line in WriterRecordText.Details(coordination, writer))
            {
                output.WriteLine($"  {line}");
            }
        }
    }

    private static void WriteDocuments(CliHost host, RecoveryPoint point)
    {
        if (point.Coordination is not { ComponentsDocument.Length: > 0 } coordination)
        {
            host.Error.WriteLine($"point {point.ShortId} holds no documents: no application was asked when it was made");
            return;
        }

        host.Output.WriteLine(coordination.MetadataDocument);
        host.Output.WriteLine(coordination.ComponentsDocument);
    }

    private static IEnumerable<(string Name, string Value)> Facts(VolumeRecord volume)
    {
        yield return ("volume", volume.Name);
        yield return ("source", volume.Source);
        yield return ("size", string.Create(CultureInfo.InvariantCulture, $"{ByteSize.Format(volume.Length)} ({volume.Length} bytes)"));
        yield return ("file system", volume.FileSystem);
        yield return ("label", volume.Label);
        yield return ("uuid", volume.Uuid);
        yield return ("provider", volume.Provider);
        yield return ("grade", volume.Grade);
        yield return ("writers held", volume.FreezeMilliseconds is { } freeze ? string.Create(CultureInfo.InvariantCulture, $"{freeze:0.0} ms") : "");
        yield return ("in use", ByteSize.Format(volume.UsedBytes));
        yield return ("new", ByteSize.Format(volume.NewBytes));
        yield return ("stored", ByteSize.Format(volume.StoredBytes));
        yield return ("diff area", volume.DiffAreaPeakBytes > 0 ? ByteSize.Format(volume.DiffAreaPeakBytes) + " at its peak" : "");
        yield return ("map in doubt", volume.MapDoubt ?? "");
        yield return ("proved", volume.Proof is { } proof ? $"{proof.Algorithm} {proof.Hash}" : "");
        yield return ("read", volume.Scan is { } scan ? ScanText.Words(scan) : "");
    }
}
