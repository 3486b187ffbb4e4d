namespace Quench.Snapshots.Coordination;

/// <summary>What is to become of an instant after the applications were asked.</summary>
public enum InstantVerdict
{
    /// <summary>It stands.</summary>
    Keep,

    /// <summary>It is given up, and another one is tried: an application did not hold, and may do so a second time.</summary>
    TryAgain,

    /// <summary>It came after the provider's time was over: writers had been let go already. It is given up.</summary>
    TooLate,
}

/// <summary>The applications of the volumes as a provider sees them: held before it freezes the file systems, let go after it has thawed them.</summary>
public interface IApplicationWriters
{
    /// <summary>How long holding and letting go may take, the provider's own time not included.</summary>
    TimeSpan LongestHold { get; }

    /// <summary>Makes the applications quiet. Those that fail are left behind, which lowers the grade. From its return on the provider's time runs.</summary>
    /// <param name="cancellationToken">Gives up; everybody is let go of before it throws.</param>
    ValueTask HoldAsync(CancellationToken cancellationToken);

    /// <summary>Lets the applications go on. Called once after each <see cref="HoldAsync"/> that returned, whatever happened in between.</summary>
    /// <param name="taken">The provider has the instant, and the file systems were held over it.</param>
    ValueTask<InstantVerdict> LetGoAsync(bool taken);
}
