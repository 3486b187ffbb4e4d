namespace Quench.Writers;

/// <summary>What is going to be backed up.</summary>
/// <param name="Set">The snapshot set's number.</param>
/// <param name="IsFull">Whether logs may be truncated after it; otherwise it is a copy that nothing depends on.</param>
/// <param name="HoldLimit">How long the application may be held. The host lets go by itself then.</param>
/// <param name="Volumes">What is imaged.</param>
/// <param name="Components">Those of the writer's components that are asked for; none means all.</param>
public sealed record BackupPlan(Guid Set, bool IsFull, TimeSpan HoldLimit, IReadOnlyList<BackupVolume> Volumes, IReadOnlyList<string> Components);
