using System.CommandLine;
using System.CommandLine.Parsing;
using Quench.Blocks;
using Quench.Cli.Commands.Snapshots;
using Quench.Snapshots.Store;

namespace Quench.Cli.Commands.Shadow;

/// <summary>quench shadow delete: one, a set, the oldest of a volume, all of a volume, or all.</summary>
internal sealed class ShadowDeleteCommand
{
    private readonly CliHost _host;
    private readonly Argument<string?> _id = new("ID") { Description = "A shadow copy's id or a set's.", Arity = ArgumentArity.ZeroOrOne };
    private readonly Option<string?> _volume = new("--volume") { HelpName = "VOLUME", Description = "All shadow copies of this attached volume." };
    private readonly Option<string?> _oldest = new("--oldest") { HelpName = "VOLUME", Description = "The oldest shadow copy of this attached volume." };
    private readonly Option<bool> _all = new("--all") { Description = "All shadow copies of all attached volumes." };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Delete without asking." };

    private ShadowDeleteCommand(CliHost host) => _host = host;

    public static Command Make(CliHost host)
    {
        ShadowDeleteCommand delete = new(host);
        Command command = new("delete", HelpText.Of("shadow-delete")) { delete._id, delete._volume, delete._oldest, delete._all, delete._yes };
        command.Validators.Add(delete.Check);
        command.Run(host, delete.RunAsync);
        return command;
    }

    /// <summary>Which copies a wish names.</summary>
    /// <param name="id">A copy's or a set's; null for another way of naming.</param>
    /// <param name="volume">All of this one.</param>
    /// <param name="oldest">The oldest of this one.</param>
    /// <exception cref="QuenchException">SNAP-160, CLI-142: there is none; no such volume.</exception>
    internal static IReadOnlyList<ShadowCopy> Choose(string? id, string? volume, string? oldest)
    {
        if (id is not null)
        {
            return ShadowCopies.Find(id, measured: true);
        }

        string? name = (volume ?? oldest) is { } word ? SnapshotCommand.Find(word).Name : null;
        IEnumerable<ShadowCopy> all = ShadowCopies.All(measured: true).Where(copy => name is null || copy.Volume.Name == name);
        return oldest is null ? [.. all] : [.. all.Take(1)];
    }

    private void Check(CommandResult given)
    {
        int ways = ((bool[])[given.GetValue(_id) is not null, given.GetValue(_volume) is not null, given.GetValue(_oldest) is not null, given.GetValue(_all)]).Count(one => one);
        if (ways != 1)
        {
            given.AddError("say which: an ID, --volume, --oldest or --all, and only one of them");
        }
    }

    private Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        Privilege.Demand(_host, "delete a snapshot");
        IReadOnlyList<ShadowCopy> chosen = Choose(parsed.GetValue(_id), parsed.GetValue(_volume), parsed.GetValue(_oldest));
        if (chosen.Count == 0)
        {
            _host.Error.WriteLine("there are no such shadow copies");
            return Task.FromResult(ExitCodes.Done);
        }

        string plan = string.Join('\n', chosen.Select(copy => $"Shadow copy {copy.Snapshot.Id:D} of {copy.Volume.Name}, taken {SnapshotText.Of(copy.Snapshot.Instant)}, will be deleted; alone it holds {ByteSize.Format(copy.Snapshot.AloneBytes)}."));
        _host.Error.WriteLine(plan);
        Consent.Demand(_host, parsed.GetValue(_yes), plan, $"delete {chosen.Count} shadow copies");
        foreach (ShadowCopy copy in chosen)
        {
            PersistentSnapshots.Delete(copy.Volume, copy.Snapshot.Number);
            _host.Error.WriteLine($"deleted shadow copy {copy.Snapshot.Id:D} of {copy.Volume.Name}");
        }

        return Task.FromResult(ExitCodes.Done);
    }
}
