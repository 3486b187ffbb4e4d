using System.CommandLine;
using Quench.Cli.Output;
using Quench.Snapshots.Store;

namespace Quench.Cli.Commands.Snapshots;

/// <summary>quench snapshot create: a snapshot of each of some volumes, all at one instant.</summary>
internal sealed class SnapshotCreateCommand
{
    private readonly CliHost _host;
    private readonly Argument<string[]> _volumes = SnapshotTaking.Volumes();
    private readonly SnapshotTaking _taking = new();
    private readonly Option<bool> _json = CommonOptions.Json();

    private SnapshotCreateCommand(CliHost host) => _host = host;

    public static Command Make(CliHost host)
    {
        SnapshotCreateCommand create = new(host);
        Command command = new("create", HelpText.Of("snapshot-create")) { create._volumes, create._json };
        create._taking.AddTo(command);
        command.Run(host, create.RunAsync);
        return command;
    }

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        Privilege.Demand(_host, "take a snapshot of an attached volume");
        (IReadOnlyList<KeptSnapshot> snapshots, int code) = await _taking.TakeAsync(_host, parsed, parsed.GetValue(_volumes)!, cancellationToken);
        foreach (KeptSnapshot snapshot in snapshots)
        {
            Tell(snapshot, parsed.GetValue(_json));
        }

        return code;
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
