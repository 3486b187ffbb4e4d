
namespace Quench.SystemTests.Kills;

/// <summary>A command that is killed.</summary>
/// <param name="Command">Its words after the program's name, for this turn.</param>
internal sealed record KillScenario(Func<KillLab, IEnumerable<string>> Command)
{
    /// <summary>What is done before each turn, without being killed.</summary>
    internal Func<KillLab, Task> Prepare { get; init; } = _ => Task.CompletedTask;

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
    };
}
