namespace Quench.Snapshots.Providers.Tracked;

/// <summary>Which of the two copies of a program it is, in the order in which the kernel calls them.</summary>
internal enum TrackerTurn
{
    /// <summary>Does the work.</summary>
    First,

    /// <summary>Does it only for what the first was left out of.</summary>
    Second,
}
