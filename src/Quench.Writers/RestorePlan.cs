namespace Quench.Writers;

/// <summary>What is going to be restored.</summary>
/// <param name="Point">The recovery point's id.</param>
/// <param name="Target">Where to.</param>
/// <param name="Components">Which of the writer's components.</param>
/// <param name="Documents">What the writer handed over when it was backed up.</param>
public sealed record RestorePlan(string Point, string? Target, IReadOnlyList<string> Components, IReadOnlyList<WriterDocument> Documents);
