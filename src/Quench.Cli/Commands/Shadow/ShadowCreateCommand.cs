using System.CommandLine;
using Quench.Cli.Commands.Snapshots;
using Quench.Cli.Output;
using Quench.Snapshots.Store;

namespace Quench.Cli.Commands.Shadow;

/// <summary>quench shadow create: a set of shadow copies at one instant.</summary>
internal sealed class ShadowCreateCommand
{
    private readonly CliHost _host;
    private readonly Argument<string[]> _volumes = SnapshotTaking.Volumes();
    private readonly SnapshotTaking _taking = new();
    private readonly Option<bool> _json = CommonOptions.Json();
    private readonly Option<string?> _format = ShadowListCommand.Format("as `vssadmin list shadows` prints it.");

    private ShadowCreateCommand(CliHost host) => _host = host;

    public static Command Make(CliHost host)
    {
        ShadowCreateCommand create = new(host);
        Command command = new("create", HelpText.Of("shadow-create")) { create._volumes, create._json, create._format };
        create._taking.AddTo(command);
        command.Run(host, create.RunAsync);
        return command;
    }

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        Privilege.Demand(_host, "take a snapshot of an attached volume");
        (IReadOnlyList<KeptSnapshot> snapshots, int code) = await _taking.TakeAsync(_host, parsed, parsed.GetValue(_volumes)!, cancellationToken);
        if (snapshots.Count == 0)
        {
            return code;
        }

        if (parsed.GetValue(_format) is not null)
        {
            VssAdminText.WriteShadows(_host.Output, _host.MachineName, [.. snapshots.Select(snapshot => new ShadowCopy(SnapshotCommand.Find(snapshot.Volume), snapshot))]);
            return code;
        }

        foreach (KeptSnapshot snapshot in snapshots)
        {
            Tell(snapshot, parsed.GetValue(_json));
        }

        if (!parsed.GetValue(_json))
        {
            _host.Output.WriteLine(snapshots[0].Set!.Id.ToString("D"));
        }

        return code;
    }

    private void Tell(KeptSnapshot snapshot, bool json)
    {
        if (json)
        {
            JsonLine.WriteMessage(_host.Output, "shadow", writer => SnapshotText.Write(writer, snapshot));
        }
        else
        {
            _host.Error.WriteLine($"took shadow copy {snapshot.Id:D} of {snapshot.Volume}");
        }
    }
}
