using System.CommandLine;
using Quench.Cli.Output;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Store;

namespace Quench.Cli.Commands.Snapshots;

/// <summary>quench snapshot create: a snapshot of each of some volumes, all at one instant.</summary>
internal sealed class SnapshotCreateCommand
{
    private readonly CliHost _host;
    private readonly Argument<string[]> _volumes = new("VOLUME")
    {
        Description = "Attached volumes, by their names, devices or mount points: all get the same instant, or none gets a snapshot.",
        Arity = ArgumentArity.OneOrMore,
    };

    private readonly Option<string> _label = new("--label") { HelpName = "TEXT", Description = "What to call it.", DefaultValueFactory = _ => "" };
    private readonly Option<string?> _store = new("--store")
    {
        HelpName = "FOLDER",
        Description = "Where overwritten blocks are kept, on another disk than the volume's. Only with a volume's first snapshot.",
    };

    private readonly Option<long?> _size = CommonOptions.Size("--store-size", "The most that may be kept, taken from the disk at once. A tenth of the volume when not given, but no more than half of what is free. Only with a volume's first snapshot.");
    private readonly Option<bool> _noFreeze = new("--no-freeze") { Description = "Don't freeze the file systems: the snapshots are of crash grade." };
    private readonly Option<double> _freezeLimit = new("--freeze-limit")
    {
        HelpName = "SECONDS",
        Description = "How long writers may be held: 0.1 to 60.",
        DefaultValueFactory = _ => 5,
    };

    private readonly Option<bool> _json = CommonOptions.Json();

    private SnapshotCreateCommand(CliHost host)
    {
        _host = host;
        _freezeLimit.Validators.Add(given =>
        {
            if (given.GetValue(_freezeLimit) is not (>= 0.1 and <= 60))
            {
                given.AddError("--freeze-limit is a number of seconds from 0.1 to 60");
            }
        });
    }

    public static Command Make(CliHost host)
    {
        SnapshotCreateCommand create = new(host);
        Command command = new("create", HelpText.Of("snapshot-create"))
        {
            create._volumes, create._label, create._store, create._size, create._noFreeze, create._freezeLimit, create._json,
        };
        command.Run(host, create.RunAsync);
        return command;
    }

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        Privilege.Demand(_host, "take a snapshot of an attached volume");
        AttachedVolume[] volumes = [.. parsed.GetValue(_volumes)!.Select(SnapshotCommand.Find).DistinctBy(volume => volume.Name)];
        KeepOptions options = new()
        {
            Label = parsed.GetValue(_label)!,
            StoreFolder = parsed.GetValue(_store),
            StoreBytes = parsed.GetValue(_size),
            Freeze = !parsed.GetValue(_noFreeze),
            FreezeLimit = TimeSpan.FromSeconds(parsed.GetValue(_freezeLimit)),
        };
        foreach (KeptSnapshot snapshot in await PersistentSnapshots.CreateAsync(volumes, options, _host.Clock, cancellationToken))
        {
            Tell(snapshot, parsed.GetValue(_json));
        }

        return ExitCodes.Done;
    }

    private void Tell(KeptSnapshot snapshot, bool json)
    {
        if (json)
        {
            JsonLine.WriteMessage(_host.Output, "snapshot", writer => SnapshotText.Write(writer, snapshot));
            return;
        }

        _host.Error.WriteLine($"took snapshot {snapshot.Number} of {snapshot.Volume}; look at it with: quench snapshot expose {snapshot.Volume} {snapshot.Number}");
        _host.Output.WriteLine(snapshot.Number);
    }
}
