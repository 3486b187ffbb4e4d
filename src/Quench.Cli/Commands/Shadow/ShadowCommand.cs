using System.CommandLine;
using Quench.Snapshots.Store;

namespace Quench.Cli.Commands.Shadow;

/// <summary>quench shadow: the same persistent snapshots as `quench snapshot`, by sets and ids as VSS has them.</summary>
internal static class ShadowCommand
{
    public static Command Make(CliHost host) => new("shadow", HelpText.Of("shadow"))
    {
        ShadowCreateCommand.Make(host),
        ShadowListCommand.Make(host),
        ShadowStorageCommand.Make(host),
        MakeExpose(host),
        MakeUnexpose(host),
        ShadowDeleteCommand.Make(host),
        ShadowScriptCommand.Make(host),
    };

    /// <summary>The argument that names a shadow copy or a set.</summary>
    internal static Argument<string> Id() => new("ID") { Description = "The id of a shadow copy, or of a set: all of its copies. The first digits do where they are nobody else's." };

    private static Command MakeExpose(CliHost host)
    {
        Argument<string> id = Id();
        Command command = new("expose", HelpText.Of("shadow-expose")) { id };
        command.Run(host, (parsed, _) =>
        {
            Privilege.Demand(host, "make a block device");
            foreach (ShadowCopy copy in ShadowCopies.Find(parsed.GetValue(id)!))
            {
                string device = copy.Snapshot.Device ?? PersistentSnapshots.Expose(copy.Volume, copy.Snapshot.Number);
                host.Error.WriteLine($"shadow copy {copy.Snapshot.Id:D} of {copy.Volume.Name} is a block device that can only be read");
                host.Output.WriteLine(device);
            }

            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    private static Command MakeUnexpose(CliHost host)
    {
        Argument<string> id = Id();
        Command command = new("unexpose", HelpText.Of("shadow-unexpose")) { id };
        command.Run(host, (parsed, _) =>
        {
            Privilege.Demand(host, "take a block device away");
            foreach (ShadowCopy copy in ShadowCopies.Find(parsed.GetValue(id)!).Where(copy => copy.Snapshot.Device is not null))
            {
                PersistentSnapshots.Unexpose(copy.Volume, copy.Snapshot.Number);
                host.Error.WriteLine($"shadow copy {copy.Snapshot.Id:D} of {copy.Volume.Name} is no block device any more");
            }

            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }
}
