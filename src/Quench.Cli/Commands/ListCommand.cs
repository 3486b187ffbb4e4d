using System.CommandLine;
using System.Globalization;
using Quench.Blocks;
using Quench.Cli.Output;
using Quench.Vault;

namespace Quench.Cli.Commands;

/// <summary>quench list: the vault's recovery points.</summary>
internal static class ListCommand
{
    public static Command Make(CliHost host)
    {
        Option<string?> vault = CommonOptions.Vault();
        Option<bool> json = CommonOptions.Json();
        Command command = new("list", HelpText.Of("list")) { vault, json };
        command.Run(host, async (parsed, cancellationToken) =>
        {
            await using OpenVault open = await OpenVault.OpenAsync(parsed, vault, host, cancellationToken);
            IReadOnlyList<RecoveryPoint> points = await open.Vault.ListPointsAsync(cancellationToken);
            VaultChecks checks = await open.Vault.ReadChecksAsync(cancellationToken);
            if (parsed.GetValue(json))
            {
                PointJson.WriteList(host.Output, points, checks);
            }
            else
            {
                WriteTable(host, points, checks);
            }

            return points.Any(point => point.Damage is not null) ? ExitCodes.Mismatch : ExitCodes.Done;
        });
        return command;
    }

    private static void WriteTable(CliHost host, IReadOnlyList<RecoveryPoint> points, VaultChecks checks)
    {
        if (points.Count == 0)
        {
            host.Error.WriteLine("the vault holds no recovery point yet");
            return;
        }

        TextTable table = new("POINT", "INSTANT", "HOST", "VOLUMES", "GRADE", "USED", "NEW", "STORED", "VERIFIED", "TAGS");
        foreach (RecoveryPoint point in points)
        {
            if (point.Damage is { } damage)
            {
                table.Add(point.ShortId, "damaged: " + damage, "", "", "", "", "", "", "", "");
                continue;
            }

            table.Add(
                point.ShortId,
                point.Instant.ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture),
                point.Host,
                string.Join(",", point.Volumes.Select(volume => volume.Name)),
                string.Join(",", point.Volumes.Select(volume => volume.Grade).Distinct()),
                ByteSize.Format(point.Volumes.Sum(volume => volume.UsedBytes)),
                ByteSize.Format(point.Volumes.Sum(volume => volume.NewBytes)),
                ByteSize.Format(point.Volumes.Sum(volume => volume.StoredBytes)),
                VerifiedText.Of(checks.Latest(point)),
                string.Join(",", point.Tags));
        }

        table.WriteTo(host.Output);
    }
}
