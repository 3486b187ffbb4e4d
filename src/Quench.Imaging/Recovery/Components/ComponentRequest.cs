namespace Quench.Imaging.Recovery.Components;

/// <summary>What a user asks for.</summary>
/// <param name="Components">Writers, or writers with a component: "PostgreSQL/cluster".</param>
public sealed record ComponentRequest(IReadOnlyList<string> Components)
{
    /// <summary>The folder to put the files below, under their full paths; null to put them where they were.</summary>
    public string? To { get; init; }

    /// <summary>Remove what was replaced, when all is done.</summary>
    public bool DiscardReplaced { get; init; }

    /// <summary>A folder for what must have a name meanwhile.</summary>
    public string Temporary { get; init; } = Path.GetTempPath();
}
