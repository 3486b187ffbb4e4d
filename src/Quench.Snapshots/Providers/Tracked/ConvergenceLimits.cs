namespace Quench.Snapshots.Providers.Tracked;

/// <summary>How far copying a volume in passes may go before its writers must be held, or it is given up.</summary>
internal sealed record ConvergenceLimits
{
    /// <summary>With no more than this left, another pass is not worth while: the writers are held at once.</summary>
    public long LittleBytes { get; init; } = 4L << 20;

    /// <summary>The most that may be copied while writers are held: all of it lies in locked memory until they go on.</summary>
    public long HeldBytes { get; init; } = 128L << 20;

    /// <summary>Passes, the first one over everything included.</summary>
    public int Passes { get; init; } = 20;

    /// <summary>How long the passes behind the first may go on.</summary>
    public TimeSpan Time { get; init; } = TimeSpan.FromMinutes(30);

    /// <summary>Passes in a row that may leave no less than three quarters of what the one before left.</summary>
    public int PassesWithoutGain { get; init; } = 3;

    /// <summary>How often everything may be read again because an event may have been lost.</summary>
    public int Doubts { get; init; } = 2;

    /// <summary>How often the writers may be held in vain, because too much was left when they were.</summary>
    public int Holds { get; init; } = 3;
}
