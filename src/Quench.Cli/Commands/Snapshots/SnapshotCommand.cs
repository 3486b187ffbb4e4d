using System.CommandLine;
using Quench.Blocks;
using Quench.Snapshots.Providers.Filter;

namespace Quench.Cli.Commands.Snapshots;

/// <summary>quench snapshot: snapshots that live until they are deleted.</summary>
internal static class SnapshotCommand
{
    public static Command Make(CliHost host) => new("snapshot", HelpText.Of("snapshot"))
    {
        SnapshotCreateCommand.Make(host),
        SnapshotListCommand.Make(host),
        SnapshotShowCommand.Make(host),
        SnapshotExposeCommand.Make(host),
        SnapshotUnexposeCommand.Make(host),
        SnapshotDeleteCommand.Make(host),
        SnapshotRevertCommand.Make(host),
        SnapshotCloneCommand.Make(host),
        SnapshotClonesCommand.Make(host),
    };

    /// <summary>The argument that names an attached volume.</summary>
    internal static Argument<string> Volume() => new("VOLUME") { Description = "An attached volume, by its name, its device or its mount point." };

    /// <summary>The argument that names one of its snapshots.</summary>
    internal static Argument<string> Snapshot() => new("SNAPSHOT") { Description = "One of its snapshots, by its number or its label." };

    /// <summary>The volume that a user means.</summary>
    /// <exception cref="QuenchException">CLI-142.</exception>
    internal static AttachedVolume Find(string what) => FilterVolumes.Find(what) ?? throw new QuenchException(
        "CLI-142", $"no attached volume is called {what}", $"attach it first: quench attach DEVICE-OR-FILE --name {what}; `quench volumes` lists those there are")
    {
        Effect = "nothing was touched",
    };
}
