using System.CommandLine;
using Quench.Blocks;
using Quench.Cli.Output;
using Quench.Imaging.Activity;
using Quench.Vault;

namespace Quench.Cli.Commands;

/// <summary>quench vault copy: recovery points into another vault.</summary>
internal sealed class CopyCommand
{
    private readonly CliHost _host;
    private readonly Argument<string[]> _points = new("POINT")
    {
        Arity = ArgumentArity.ZeroOrMore,
        Description = "The first digits of a point's id, or latest; several may be given.",
    };

    private readonly Option<string?> _vault = CommonOptions.Vault();
    private readonly Option<string> _to = new("--to") { HelpName = "DIR", Required = true, Description = "The directory of the vault to copy to." };
    private readonly Option<bool> _all = new("--all") { Description = "Copy all points of the vault, oldest first." };
    private readonly Option<string?> _machine = new("--host") { HelpName = "NAME", Description = "Copy all points of one machine, oldest first." };
    private readonly Option<bool> _json = CommonOptions.Json();

    private CopyCommand(CliHost host) => _host = host;

    public static Command Make(CliHost host)
    {
        CopyCommand copy = new(host);
        Command command = new("copy", HelpText.Of("vault-copy")) { copy._points, copy._vault, copy._to, copy._all, copy._machine, copy._json };
        command.Validators.Add(given =>
        {
            bool named = given.GetValue(copy._points) is { Length: > 0 };
            if (named == (given.GetValue(copy._all) || given.GetValue(copy._machine) is not null))
            {
                given.AddError("say which points to copy: POINT…, or --all, or --host NAME");
            }
        });
        command.Run(host, copy.RunAsync);
        return command;
    }

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        await using OpenVault source = await OpenVault.OpenAsync(parsed, _vault, _host, cancellationToken);
        IReadOnlyList<RecoveryPoint> points = await ChooseAsync(parsed, source, cancellationToken);
        await using OpenVault target = await OpenVault.OpenTargetAsync(parsed.GetValue(_to)!, _host, cancellationToken);
        Tally tally = new();
        bool json = parsed.GetValue(_json);
        ActivityMonitor activity = new(_host.Clock);
        PointCopier copier = new(source.Vault, target.Vault, new Relay(activity));
        foreach (RecoveryPoint point in points)
        {
            await CopyOneAsync(copier, point, activity, tally, json, cancellationToken);
        }

        Tell(tally, json);
        return tally.Damaged == 0 ? ExitCodes.Done : ExitCodes.Mismatch;
    }

    private async Task<IReadOnlyList<RecoveryPoint>> ChooseAsync(ParseResult parsed, OpenVault source, CancellationToken cancellationToken)
    {
        if (parsed.GetValue(_points) is { Length: > 0 } names)
        {
            List<RecoveryPoint> named = [];
            foreach (string name in names)
            {
                named.Add(await source.FindAsync(name, cancellationToken));
            }

            return named;
        }

        string? machine = parsed.GetValue(_machine);
        return [.. (await source.Vault.ListPointsAsync(cancellationToken)).Where(point => machine is null || point.Host == machine)];
    }

    /// <summary>Copies one point. What is wrong with it alone must not keep the others from safety.</summary>
    private async Task CopyOneAsync(
        PointCopier copier, RecoveryPoint point, ActivityMonitor activity, Tally tally, bool json, CancellationToken cancellationToken)
    {
        activity.Begin(JobPhase.Copying, 0);
        try
        {
            CopiedPoint copied;
            await using (ProgressDisplay display = new(_host, activity, json))
            {
                copied = await copier.CopyAsync(point, cancellationToken);
            }

            tally.Count(copied);
            Tell(copied, json);
        }
        catch (QuenchException failure) when (failure.Code is "VAULT-022" or "VAULT-041")
        {
            tally.Damaged++;
            _host.Error.Write(ErrorText.Render(failure));
            if (json)
            {
                JsonLine.WriteMessage(_host.Output, "damaged", writer =>
                {
                    writer.WriteString("point", point.Id.ToString("N"));
                    writer.WriteString("code", failure.Code);
                    writer.WriteString("what", failure.Message);
                });
            }
        }
    }

    private void Tell(CopiedPoint copied, bool json)
    {
        if (json)
        {
            JsonLine.WriteMessage(_host.Output, "copied", writer =>
            {
                writer.WriteString("point", copied.Source.Id.ToString("N"));
                writer.WriteString("copy", copied.Copy.Id.ToString("N"));
                writer.WriteBoolean("was_there", copied.WasThere);
                writer.WriteNumber("read_bytes", copied.ReadBytes);
                writer.WriteNumber("new_bytes", copied.Totals.NewChunkBytes);
                writer.WriteNumber("stored_bytes", copied.Totals.StoredBytes);
            });
            return;
        }

        if (copied.WasThere)
        {
            _host.Error.WriteLine($"point {copied.Source.ShortId} is there already, as {copied.Copy.ShortId}");
            return;
        }

        _host.Error.WriteLine(
            $"copied point {copied.Source.ShortId}: {ByteSize.Format(copied.ReadBytes)} read, {ByteSize.Format(copied.Totals.NewChunkBytes)} new, "
            + $"{ByteSize.Format(copied.Totals.StoredBytes)} stored");
        _host.Output.WriteLine(copied.Copy.ShortId);
    }

    private void Tell(Tally tally, bool json)
    {
        if (json)
        {
            JsonLine.WriteMessage(_host.Output, "summary", writer =>
            {
                writer.WriteNumber("copied", tally.Copied);
                writer.WriteNumber("were_there", tally.WereThere);
                writer.WriteNumber("damaged", tally.Damaged);
                writer.WriteNumber("read_bytes", tally.ReadBytes);
                writer.WriteNumber("new_bytes", tally.NewBytes);
                writer.WriteNumber("stored_bytes", tally.StoredBytes);
            });
            return;
        }

        _host.Error.WriteLine($"{tally.Copied} points copied, {tally.WereThere} were there already, {tally.Damaged} are damaged and were left out");
    }

    /// <summary>Passes the vault's own progress on, on the thread that reports it.</summary>
    private sealed class Relay(ActivityMonitor activity) : IProgress<CopyProgress>
    {
        public void Report(CopyProgress value) => activity.Set(value.DoneBytes, value.TotalBytes);
    }

    private sealed class Tally
    {
        internal int Copied { get; private set; }

        internal int WereThere { get; private set; }

        internal int Damaged { get; set; }

        internal long ReadBytes { get; private set; }

        internal long NewBytes { get; private set; }

        internal long StoredBytes { get; private set; }

        internal void Count(CopiedPoint point)
        {
            (Copied, WereThere) = point.WasThere ? (Copied, WereThere + 1) : (Copied + 1, WereThere);
            ReadBytes += point.ReadBytes;
            NewBytes += point.Totals.NewChunkBytes;
            StoredBytes += point.Totals.StoredBytes;
        }
    }
}
