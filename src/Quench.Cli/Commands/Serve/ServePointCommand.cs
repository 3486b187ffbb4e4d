using System.CommandLine;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Exports.Nbd;
using Quench.Imaging.Recovery;
using Quench.Vault;

namespace Quench.Cli.Commands.Serve;

/// <summary>quench serve point: a volume of a recovery point, read-only or with an overlay that takes the writes.</summary>
internal sealed class ServePointCommand
{
    private const int OverlayBlock = 64 * 1024; // a chunk of the usual size: carrying one up reads one

    private readonly CliHost _host;
    private readonly ServeOptions _serve = new();
    private readonly Argument<string> _point = new("POINT") { Description = "The first digits of the point's id, or latest." };
    private readonly Option<string?> _vault = CommonOptions.Vault();
    private readonly Option<string?> _volume = new("--volume") { HelpName = "NAME", Description = "Which volume, when the point holds several." };
    private readonly Option<bool> _writable = new("--writable") { Description = "Let clients write: into an overlay. The point itself never changes." };
    private readonly Option<string> _overlay = new("--overlay-folder")
    {
        HelpName = "FOLDER",
        Description = "Where the overlay's file lies while it is served; it is gone afterwards.",
        DefaultValueFactory = _ => "/var/tmp",
    };

    private readonly Option<string?> _changedSince = new("--changed-since")
    {
        HelpName = "POINT",
        Description = "Let clients ask what has changed since an earlier point of this vault: metadata context quench:changed.",
    };

    private ServePointCommand(CliHost host) => _host = host;

    public static Command Make(CliHost host)
    {
        ServePointCommand serve = new(host);
        Command command = new("point", HelpText.Of("serve-point")) { serve._point, serve._vault, serve._volume, serve._writable, serve._overlay, serve._changedSince };
        foreach (Option option in serve._serve.All)
        {
            command.Options.Add(option);
        }

        command.Run(host, serve.RunAsync);
        return command;
    }

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        await using OpenVault open = await OpenVault.OpenAsync(parsed, _vault, _host, cancellationToken);
        RecoveryPoint point = await open.FindAsync(parsed.GetValue(_point)!, cancellationToken);
        VolumeRecord volume = RestorePlanner.Pick(point, parsed.GetValue(_volume));
        string description = $"{volume.Name} of {point.Host} at {point.Instant:u}, point {point.ShortId}";
        string name = _serve.NameOf(parsed);
        if (!parsed.GetValue(_writable))
        {
            await using NbdExport export = NbdExport.ReadOnly(name, description, open.Vault.OpenImage(volume), await ContextsAsync(parsed, open, volume, cancellationToken));
            await _serve.RunAsync(_host, parsed, export, cancellationToken);
            return ExitCodes.Done;
        }

        if (parsed.GetValue(_changedSince) is not null)
        {
            throw ServeOptions.Misused(parsed, "--changed-since and --writable exclude each other: what clients write would not be in the answer");
        }

        string file = Path.Combine(Path.GetFullPath(parsed.GetValue(_overlay)!), $"quench-overlay-{Guid.NewGuid():N}");
        try
        {
            IBlockDevice top = ImageFile.CreateNew(file, volume.Length);
            await using NbdExport export = NbdExport.Writable(name, description + ", writable", new Overlay(open.Vault.OpenImage(volume), top, OverlayBlock));
            await _serve.RunAsync(_host, parsed, export, cancellationToken);
        }
        finally
        {
            File.Delete(file);
        }

        return ExitCodes.Done;
    }

    private async Task<IEnumerable<INbdContext>> ContextsAsync(ParseResult parsed, OpenVault open, VolumeRecord volume, CancellationToken cancellationToken)
    {
        if (parsed.GetValue(_changedSince) is not { } since)
        {
            return [];
        }

        RecoveryPoint earlier = await open.FindAsync(since, cancellationToken);
        return [new ChangedBlocks(await open.Vault.CompareAsync(RestorePlanner.Pick(earlier, volume.Name), volume, cancellationToken))];
    }
}
