using System.Globalization;
using Quench.Blocks;

namespace Quench.Snapshots.Coordination.Programs;

/// <summary>One of the user's commands, as it was run.</summary>
/// <param name="Moment">"before-snapshot", "after-snapshot" or "after-backup".</param>
/// <param name="Program">Its path.</param>
/// <param name="ExitCode">Null when it was killed or could not be started.</param>
/// <param name="Took">How long it ran.</param>
/// <param name="Problem">What was wrong; null when it ended with 0.</param>
public sealed record CommandRun(string Moment, string Program, int? ExitCode, TimeSpan Took, string? Problem);

/// <summary>What a backup did, for the user's commands.</summary>
/// <param name="Succeeded">So far nothing failed; in the end, there is a point.</param>
/// <param name="ErrorCode">The stable code of what failed; null when nothing did.</param>
/// <param name="Grade">The point's grade; null before there is one.</param>
/// <param name="Point">The point; null when there is none.</param>
public sealed record CommandStatus(bool Succeeded, string? ErrorCode = null, string? Grade = null, Guid? Point = null);

/// <summary>
/// The three commands that a user may have run: before the snapshot, right after it, after the backup. A command is a program with no arguments, started through no shell; what it needs to know is in its
/// environment.
/// </summary>
/// <remarks>
/// <code>
/// before-snapshot ─ exit code 0 ─▶ snapshot ─▶ after-snapshot ─▶ (backup) ─▶ after-backup
///        │ anything else, or late                 ▲                             ▲
///        └──────────── no snapshot ───────────────┘ always, once the first ran  └ always, with the outcome
/// </code>
/// </remarks>
public sealed class BackupCommands
{
    private readonly TimeProvider _clock;
    private readonly Dictionary<string, string> _facts = [];
    private readonly List<CommandRun> _runs = [];
    private readonly string? _before;
    private readonly string? _after;
    private readonly string? _end;

    /// <summary>Checks the programs before anything is begun.</summary>
    /// <param name="before">Before the snapshot; null for none.</param>
    /// <param name="after">After the snapshot.</param>
    /// <param name="end">After the backup.</param>
    /// <param name="volumes">What is backed up.</param>
    /// <param name="provider">Who makes the snapshot: the technology in use.</param>
    /// <param name="clock">Times the commands.</param>
    /// <exception cref="QuenchException">SNAP-127: one of them may not be started.</exception>
    public BackupCommands(string? before, string? after, string? end, IReadOnlyList<OperationVolume> volumes, string provider, TimeProvider clock)
    {
        _clock = clock;
        _before = before is null ? null : TrustedPath.DemandProgram(before);
        _after = after is null ? null : TrustedPath.DemandProgram(after);
        _end = end is null ? null : TrustedPath.DemandProgram(end);
        _facts["QUENCH_OPERATION"] = "backup";
        _facts["QUENCH_PROVIDER"] = provider;
        _facts["QUENCH_VOLUME_COUNT"] = volumes.Count.ToString(CultureInfo.InvariantCulture);
        for (int index = 0; index < volumes.Count; index++)
        {
            string prefix = string.Create(CultureInfo.InvariantCulture, $"QUENCH_VOLUME_{index + 1}_");
            _facts[prefix + "NAME"] = volumes[index].Name;
            _facts[prefix + "DEVICE"] = volumes[index].Device;
            _facts[prefix + "MOUNT_POINT"] = volumes[index].MountPoint ?? "";
        }
    }

    /// <summary>How long each may run.</summary>
    public TimeSpan Limit { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How many seconds the two around the snapshot may take together.</summary>
    internal TimeSpan LongestAroundSnapshot => (_before is null ? TimeSpan.Zero : Limit) + (_after is null ? TimeSpan.Zero : Limit);

    /// <summary>What was run so far.</summary>
    public IReadOnlyList<CommandRun> Runs => _runs;

    /// <summary>Whether the first one was begun for the present snapshot.</summary>
    public bool HasBegun { get; private set; }

    /// <summary>Runs the command before the snapshot.</summary>
    /// <exception cref="QuenchException">SNAP-125: it failed; the command after the snapshot has been run, and there must be no snapshot.</exception>
    public async Task BeforeSnapshotAsync(CancellationToken cancellationToken)
    {
        HasBegun = true;
        if (_before is null)
        {
            return;
        }

        CommandRun run = await RunAsync("before-snapshot", _before, new CommandStatus(true), cancellationToken);
        if (run.Problem is { } problem)
        {
            await AfterSnapshotAsync(new CommandStatus(false, "SNAP-125"));
            cancellationToken.ThrowIfCancellationRequested();
            throw new QuenchException("SNAP-125", $"the command before the snapshot, {_before}, {problem}", "run it by hand to see why, then run the backup again")
            {
                Effect = "no snapshot was taken; the volume itself is unaffected",
                CanRetry = true,
            };
        }
    }

    /// <summary>Runs the command after the snapshot, if the one before it was begun. Not given up: it ends what the first one began.</summary>
    public async Task AfterSnapshotAsync(CommandStatus status)
    {
        if (HasBegun && _after is not null)
        {
            await RunAsync("after-snapshot", _after, status, CancellationToken.None);
        }

        HasBegun = false;
    }

    /// <summary>Runs the command after the backup.</summary>
    public async Task AfterBackupAsync(CommandStatus status)
    {
        if (_end is not null)
        {
            await RunAsync("after-backup", _end, status, CancellationToken.None);
        }
    }

    private async Task<CommandRun> RunAsync(string moment, string program, CommandStatus status, CancellationToken cancellationToken)
    {
        long since = _clock.GetTimestamp();
        NamedProgramEnd end = await NamedProgram.RunAsync(program, [], Environment(moment, status), Limit, _clock, cancellationToken);
        CommandRun run = new(moment, program, end.ExitCode, _clock.GetElapsedTime(since), end.Problem);
        _runs.Add(run);
        return run;
    }

    private Dictionary<string, string> Environment(string moment, CommandStatus status) => new(_facts)
    {
        ["QUENCH_MOMENT"] = moment,
        ["QUENCH_STATUS"] = status.Succeeded ? "ok" : "failed",
        ["QUENCH_ERROR"] = status.ErrorCode ?? "",
        ["QUENCH_GRADE"] = status.Grade ?? "",
        ["QUENCH_POINT"] = status.Point?.ToString("N") ?? "",
    };
}
