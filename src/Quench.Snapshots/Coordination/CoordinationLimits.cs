namespace Quench.Snapshots.Coordination;

/// <summary>
/// How long each step may take. The two that hold production are bounded by the field's limits, 60 s for writers and 10 s for the provider; a setting can only make them
/// shorter than that.
/// </summary>
public sealed record CoordinationLimits
{
    /// <summary>The longest that writers may ever be held, from the first call of a freeze to the call of the last thaw.</summary>
    public static readonly TimeSpan LongestWriters = TimeSpan.FromSeconds(60);

    /// <summary>The longest that the provider may ever take while writers are held.</summary>
    public static readonly TimeSpan LongestProvider = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan s_longestCall = TimeSpan.FromMinutes(10);

    /// <summary>How long writers may be held. At least twice <see cref="Provider"/> is sensible: what the provider may take is kept back from the freezing.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not above zero, or above <see cref="LongestWriters"/>.</exception>
    public TimeSpan Writers { get; init => field = Checked(value, LongestWriters); } = TimeSpan.FromSeconds(20);

    /// <summary>How long the provider may take while writers are held, the freeze of the file systems included.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not above zero, or above <see cref="LongestProvider"/>.</exception>
    public TimeSpan Provider { get; init => field = Checked(value, LongestProvider); } = TimeSpan.FromSeconds(5);

    /// <summary>How long each call may take that holds nobody: identify, prepare, what comes after the snapshot.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not above zero, or above 10 minutes.</exception>
    public TimeSpan Call { get; init => field = Checked(value, s_longestCall); } = TimeSpan.FromSeconds(60);

    /// <summary>How long a writer may take to answer that it has thawed or aborted. After that it is hung up on.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not above zero, or above 10 minutes.</exception>
    public TimeSpan Thaw { get; init => field = Checked(value, s_longestCall); } = TimeSpan.FromSeconds(5);

    /// <summary>What freezing all writers may take: what the provider does not need of the writers' limit.</summary>
    internal TimeSpan Freezing => Writers - Provider;

    private static TimeSpan Checked(TimeSpan value, TimeSpan longest)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(value, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(value, longest);
        return value;
    }
}
