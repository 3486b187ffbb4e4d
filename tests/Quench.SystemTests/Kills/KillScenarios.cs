
namespace Quench.SystemTests.Kills;

/// <summary>A command that is killed.</summary>
/// <param name="Command">Its words after the program's name, for this turn.</param>
internal sealed record KillScenario(Func<KillLab, IEnumerable<string>> Command)
{
    /// <summary>What is done before each turn, without being killed.</summary>
    internal Func<KillLab, Task> Prepare { get; init; } = _ => Task.CompletedTask;

    /// <summary>Of so many kills one: for a command that takes its time before it writes.</summary>
    internal int Share { get; init; } = 1;

    /// <summary>The tags of points that the command may take away, from the moment it is started.</summary>
    internal Func<KillLab, IEnumerable<string>> MayTake { get; init; } = _ => [];

    /// <summary>Every command that is killed. A new one is one entry here.</summary>
    internal static readonly IReadOnlyDictionary<string, KillScenario> All = new Dictionary<string, KillScenario>
    {
        ["backup"] = new(lab => ["backup", lab.ChangeDisk(), "--tag", lab.Tag, "--json"]),
        ["copy"] = new(lab => ["vault", "copy", "--all", "--to", lab.SecondVault, "--json"])
        {
            Prepare = lab => lab.BackUpAsync(),
        },
        ["forget"] = new(_ => ["forget", "--keep-last", "2", "--yes", "--json"])
        {
            Prepare = lab => lab.BackUpAsync(),
            MayTake = lab => lab.TagsBefore(2),
        },
        ["prune"] = new(_ => ["vault", "prune", "--yes", "--json"])
        {
            Prepare = lab => lab.BackUpAndForgetAsync(),
        },
        ["repair"] = new(lab => ["vault", "repair", "--vault", lab.RottingVault, "--yes", "--json"])
        {
            Prepare = lab => lab.RotAsync(),
        },
        ["key add"] = new(_ => ["vault", "key", "add", "--recovery-code", "--json"]),
        ["key remove"] = new(lab => ["vault", "key", "remove", lab.SlotToRemove, "--yes", "--json"])
        {
            Prepare = lab => lab.AddKeyToRemoveAsync(),
        },
        ["key passwd"] = new(_ => ["vault", "key", "passwd", "--json"])
        {
            Prepare = lab => lab.RenewPasswordAsync(),
            Share = 10, // two keys are derived at full cost, and then some to look
        },
    };
}
