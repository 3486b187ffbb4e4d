using System.CommandLine;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Cli.Commands.Snapshots;
using Quench.Exports.Nbd;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Store;

namespace Quench.Cli.Commands.Serve;

/// <summary>quench serve snapshot: a persistent snapshot, read-only or with an overlay that takes the writes.</summary>
internal sealed class ServeSnapshotCommand
{
    private const int OverlayBlock = 64 * 1024;

    private readonly CliHost _host;
    private readonly ServeOptions _serve = new();
    private readonly Argument<string> _volume = SnapshotCommand.Volume();
    private readonly Argument<string> _snapshot = SnapshotCommand.Snapshot();
    private readonly Option<bool> _writable = new("--writable") { Description = "Let clients write: into an overlay. The snapshot itself never changes." };
    private readonly Option<string> _overlay = new("--overlay-folder")
    {
        HelpName = "FOLDER",
        Description = "Where the overlay's file lies while it is served; it is gone afterwards.",
        DefaultValueFactory = _ => "/var/tmp",
    };

    private ServeSnapshotCommand(CliHost host) => _host = host;

    public static Command Make(CliHost host)
    {
        ServeSnapshotCommand serve = new(host);
        Command command = new("snapshot", HelpText.Of("serve-snapshot")) { serve._volume, serve._snapshot, serve._writable, serve._overlay };
        foreach (Option option in serve._serve.All)
        {
            command.Options.Add(option);
        }

        command.Run(host, serve.RunAsync);
        return command;
    }

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        Privilege.Demand(_host, "read a snapshot of an attached volume");
        AttachedVolume volume = SnapshotCommand.Find(parsed.GetValue(_volume)!);
        KeptSnapshot snapshot = PersistentSnapshots.Find(volume, parsed.GetValue(_snapshot)!);
        string description = $"snapshot {snapshot.Number} of {volume.Name} at {snapshot.Instant:u}";
        string name = _serve.NameOf(parsed);
        await using OpenSnapshot open = PersistentSnapshots.Open(volume, snapshot.Number);
        if (!parsed.GetValue(_writable))
        {
            await using NbdExport export = NbdExport.ReadOnly(name, description, open.Reader);
            await _serve.RunAsync(_host, parsed, export, cancellationToken);
            return ExitCodes.Done;
        }

        string file = Path.Combine(Path.GetFullPath(parsed.GetValue(_overlay)!), $"quench-overlay-{Guid.NewGuid():N}");
        try
        {
            IBlockDevice top = ImageFile.CreateNew(file, open.Reader.Geometry.Length);
            await using NbdExport export = NbdExport.Writable(name, description + ", writable", new Overlay(open.Reader, top, OverlayBlock));
            await _serve.RunAsync(_host, parsed, export, cancellationToken);
        }
        finally
        {
            File.Delete(file);
        }

        return ExitCodes.Done;
    }
}
