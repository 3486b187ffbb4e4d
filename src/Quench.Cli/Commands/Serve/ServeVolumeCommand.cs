using System.CommandLine;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Exports.Nbd;
using Quench.Snapshots.Providers.Filter;

namespace Quench.Cli.Commands.Serve;

/// <summary>quench serve volume: an attached volume, so that a virtual machine or another host can live on it and be imaged hot.</summary>
internal sealed class ServeVolumeCommand
{
    private readonly CliHost _host;
    private readonly ServeOptions _serve = new();
    private readonly Argument<string> _volume = new("VOLUME") { Description = "An attached volume, by its name or its device." };
    private readonly Option<bool> _readOnly = new("--read-only") { Description = "Let clients read only; then the volume may be mounted here." };

    private ServeVolumeCommand(CliHost host) => _host = host;

    public static Command Make(CliHost host)
    {
        ServeVolumeCommand serve = new(host);
        Command command = new("volume", HelpText.Of("serve-volume")) { serve._volume, serve._readOnly };
        foreach (Option option in serve._serve.All)
        {
            command.Options.Add(option);
        }

        command.Run(host, serve.RunAsync);
        return command;
    }

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        Privilege.Demand(_host, "open a block device");
        string what = parsed.GetValue(_volume)!;
        AttachedVolume volume = FilterVolumes.Find(what) ?? throw new QuenchException(
            "CLI-142", $"no attached volume is called {what}", $"attach it first: quench attach DEVICE-OR-FILE --name {what}; `quench volumes` lists those there are")
        {
            Effect = "nothing is served",
        };
        bool readOnly = parsed.GetValue(_readOnly);
        string description = $"the attached volume {volume.Name}";
        IBlockDevice device = new BlockingDisk(RawDevice.Open(volume.Device, readOnly ? DeviceAccess.Read : DeviceAccess.ReadWrite, exclusive: !readOnly)); // lanes have threads
        await using NbdExport export = readOnly
            ? NbdExport.ReadOnly(_serve.NameOf(parsed), description, new ReadOnlyView(device))
            : NbdExport.Writable(_serve.NameOf(parsed), description, device);
        await _serve.RunAsync(_host, parsed, export, cancellationToken);
        return ExitCodes.Done;
    }
}
