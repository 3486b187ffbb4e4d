namespace Quench.Vault;

/// <summary>What would be forgotten and what stays, and why. Made by <see cref="BackupVault.PlanForgetAsync"/>, executed by <see cref="BackupVault.ForgetAsync"/>.</summary>
/// <param name="Groups">The groups that were looked at, each with a verdict for every point of it that the filters let through.</param>
/// <param name="Concerns">What speaks against it. Each says which consent it needs.</param>
public sealed record ForgetPlan(IReadOnlyList<ForgetGroup> Groups, IReadOnlyList<ForgetConcern> Concerns)
{
    /// <summary>The points that would go, as they are grouped.</summary>
    public IReadOnlyList<RecoveryPoint> Going => [.. Groups.SelectMany(group => group.Verdicts).Where(verdict => !verdict.Stays).Select(verdict => verdict.Point)];
}

/// <summary>Points of one machine that hold the same volumes: what a policy is applied to.</summary>
/// <param name="Host">The machine.</param>
/// <param name="Volumes">The names of the volumes, in order.</param>
/// <param name="Verdicts">The points, newest first.</param>
public sealed record ForgetGroup(string Host, IReadOnlyList<string> Volumes, IReadOnlyList<RetentionVerdict> Verdicts);

/// <summary>What kind of thing speaks against forgetting.</summary>
public enum ForgetConcernKind
{
    /// <summary>More than half of a group's points would go. An ordinary yes is enough.</summary>
    MoreThanHalf,

    /// <summary>No point of a volume would be left.</summary>
    LastOfVolume,

    /// <summary>A policy judges points by their time, and some are dated in the future.</summary>
    FutureDated,

    /// <summary>A policy judges points by their time, and the clock shows less than has been written down in the vault.</summary>
    ClockWentBack,
}

/// <summary>One thing that speaks against forgetting.</summary>
/// <param name="Kind">Its kind.</param>
/// <param name="What">What it is, as a clause.</param>
public sealed record ForgetConcern(ForgetConcernKind Kind, string What);
