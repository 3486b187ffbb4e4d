namespace Quench.Snapshots.Coordination;

/// <summary>Whether a writer's writes were held from its freeze to its thaw.</summary>
public readonly record struct HoldAnswer
{
    private HoldAnswer(bool held, string? reason)
    {
        IsHeld = held;
        Reason = reason;
    }

    /// <summary>They were, all the time; the application confirmed it. The default value says that they were not.</summary>
    public static HoldAnswer Held { get; } = new(true, null);

    /// <summary>True when they were held all the time.</summary>
    public bool IsHeld { get; }

    /// <summary>Why not, in words for people; null when they were, or when nobody knows.</summary>
    public string? Reason { get; }

    /// <summary>They were not, or it is in doubt.</summary>
    /// <param name="reason">What was seen: one sentence, lower case.</param>
    public static HoldAnswer Lost(string reason) => new(false, reason);
}
