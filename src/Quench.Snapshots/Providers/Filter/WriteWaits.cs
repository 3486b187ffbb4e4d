namespace Quench.Snapshots.Providers.Filter;

/// <summary>How long one write has waited because there is a snapshot.</summary>
internal struct WriteWaits
{
    /// <summary>For the spill file to take its old blocks.</summary>
    public TimeSpan ForSaves;

    /// <summary>For another write to save blocks that it shares with this one.</summary>
    public TimeSpan ForOthers;

    /// <summary>For room in a full diff area, where the policy holds writers.</summary>
    public TimeSpan Held;
}
