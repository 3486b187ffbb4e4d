using System.CommandLine;
using Quench.Blocks;
using Quench.Cli.Output;
using Quench.Imaging.Activity;
using Quench.Imaging.Recovery;
using Quench.Vault;

namespace Quench.Cli.Commands;

/// <summary>quench restore: writes an image back to a device or a file, or puts an application's files back.</summary>
internal sealed class RestoreCommand
{
    private readonly CliHost _host;
    private readonly Argument<string> _point = new("POINT") { Description = "The first digits of the point's id, or latest." };
    private readonly Argument<string?> _target = new("TARGET")
    {
        Arity = ArgumentArity.ZeroOrOne,
        Description = "A block device or an image file; a path that does not exist becomes a sparse file of the volume's size. Not given with --component.",
    };

    private readonly Option<string?> _vault = CommonOptions.Vault();
    private readonly Option<string?> _volume = new("--volume") { HelpName = "NAME", Description = "Which volume, when the point holds several." };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Overwrite the target, or replace files, without asking." };
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Print the plan, and do nothing." };
    private readonly Option<bool> _onlyDifferent = new("--only-different") { Description = "Read the target first, and write only what differs." };
    private readonly Option<bool> _verify = new("--verify") { Description = "Read the target back at the end and compare all of it with the image." };
    private readonly Option<bool> _inPlace = new("--in-place") { Description = "Allow the target to be the very volume that the point was taken of." };
    private readonly Option<int?> _partition = new("--partition") { HelpName = "N", Description = "Only this partition of a disk, into an existing partition or a file." };
    private readonly Option<bool> _growLast = new("--grow-last") { Description = "Let the last partition of a disk take the room behind it. The file system on it is not changed." };
    private readonly Option<bool> _json = CommonOptions.Json();
    private readonly RestoreComponents _components = new();

    private RestoreCommand(CliHost host) => _host = host;

    public static Command Make(CliHost host)
    {
        RestoreCommand restore = new(host);
        Command command = new("restore", HelpText.Of("restore"))
        {
            restore._point, restore._target, restore._vault, restore._volume, restore._yes, restore._dryRun, restore._onlyDifferent, restore._verify,
            restore._inPlace, restore._json, restore._partition, restore._growLast,
        };
        restore._components.AddTo(command, restore._target, restore._volume, restore._onlyDifferent, restore._verify, restore._inPlace, restore._partition, restore._growLast);
        command.Validators.Add(given =>
        {
            if (given.GetValue(restore._partition) is not null && given.GetValue(restore._growLast))
            {
                given.AddError("--grow-last is for whole disks, and --partition names one partition");
            }
        });
        command.Run(host, restore.RunAsync);
        return command;
    }

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        await using OpenVault open = await OpenVault.OpenAsync(parsed, _vault, _host, cancellationToken);
        RecoveryPoint point = await open.FindAsync(parsed.GetValue(_point)!, cancellationToken);
        if (_components.AreGiven(parsed))
        {
            return await _components.RunAsync(_host, parsed, open.Vault, point, new RestoreSwitches(parsed.GetValue(_yes), parsed.GetValue(_dryRun), parsed.GetValue(_json)), cancellationToken);
        }

        RestorePlan plan = await RestorePlanner.ForThisMachine(_host.MachineName, open.Location).MakeAsync(point, RequestFrom(parsed), open.Vault, cancellationToken);
        bool json = parsed.GetValue(_json);
        if (parsed.GetValue(_dryRun))
        {
            RestorePlanText.Write(_host.Output, plan, json);
            return ExitCodes.Done;
        }

        RestorePlanText.Write(_host.Error, plan, json: false);
        if (plan.IsDestructive)
        {
            Consent.Demand(_host, parsed.GetValue(_yes), $"Everything on {plan.TargetPath} will be lost.", $"overwrite {plan.TargetPath}");
        }

        RestoreResult result = await ExecuteAsync(open.Vault, plan, json, cancellationToken);
        Tell(plan, result, json);
        return ExitCodes.Done;
    }

    private RestoreRequest RequestFrom(ParseResult parsed) => new(parsed.GetValue(_target)!)
    {
        Volume = parsed.GetValue(_volume),
        OnlyDifferent = parsed.GetValue(_onlyDifferent),
        ReadBack = parsed.GetValue(_verify),
        InPlace = parsed.GetValue(_inPlace),
        Partition = parsed.GetValue(_partition),
        GrowLast = parsed.GetValue(_growLast),
    };

    private async Task<RestoreResult> ExecuteAsync(BackupVault vault, RestorePlan plan, bool json, CancellationToken cancellationToken)
    {
        ActivityMonitor activity = new(_host.Clock);
        await using IBlockReader image = vault.OpenImage(plan.Volume);
        await using ProgressDisplay display = new(_host, activity, json);
        try
        {
            return await Restore.RunAsync(plan, image, activity, cancellationToken);
        }
        catch (OperationCanceledException failure) when (cancellationToken.IsCancellationRequested)
        {
            throw new QuenchException("CLI-130", "interrupted", cause: failure)
            {
                Effect = plan.IsDestructive ? $"{plan.TargetPath} is half written: don't use it" : "the unfinished file was removed",
                ExitCode = ExitCodes.Interrupted,
            };
        }
    }

    private void Tell(RestorePlan plan, RestoreResult result, bool json)
    {
        if (json)
        {
            JsonLine.WriteMessage(_host.Output, "summary", writer =>
            {
                writer.WriteString("point", plan.Point.Id.ToString("N"));
                writer.WriteString("volume", plan.Volume.Name);
                writer.WriteString("target", plan.TargetPath);
                writer.WriteNumber("written_bytes", result.WrittenBytes);
                writer.WriteNumber("zeroed_bytes", result.ZeroedBytes);
                writer.WriteNumber("equal_bytes", result.EqualBytes);
                writer.WriteBoolean("read_back", plan.ReadBack);
            });
            return;
        }

        string equal = plan.OnlyDifferent ? $", {ByteSize.Format(result.EqualBytes)} were there already" : "";
        string checkedToo = plan.ReadBack ? "; read back and found equal" : "";
        string what = plan.PartitionNumber is { } number ? $"partition {number} of {plan.Volume.Name}" : plan.Volume.Name;
        string moved = plan.MovedTo is { } start ? $"; its boot sector says now that it begins at byte {start} of the disk" : "";
        _host.Error.WriteLine($"restored {what} to {plan.TargetPath}: {ByteSize.Format(result.WrittenBytes)} written{equal}{checkedToo}{moved}");
    }
}
