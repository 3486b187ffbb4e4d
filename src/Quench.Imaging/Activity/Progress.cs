namespace Quench.Imaging.Activity;

/// <summary>What a job is doing.</summary>
public enum JobPhase
{
    /// <summary>Looking at the volume and the vault.</summary>
    Preparing,

    /// <summary>Reading the volume and storing what is new.</summary>
    Imaging,

    /// <summary>Reading the snapshot again beside what the vault gives back.</summary>
    Proving,

    /// <summary>Writing an image to its target.</summary>
    Restoring,

    /// <summary>Reading back what was written or stored.</summary>
    Verifying,

    /// <summary>Making the result durable.</summary>
    Finishing,

    /// <summary>Copying points into another vault.</summary>
    Copying,
}

/// <summary>How far a job is: plain values, taken at one moment.</summary>
/// <param name="Phase">What it is doing.</param>
/// <param name="BytesDone">Bytes of this phase that are done.</param>
/// <param name="BytesTotal">Bytes of this phase in all; 0 when that is not known.</param>
/// <param name="BytesPerSecond">The rate of the last seconds.</param>
/// <param name="Elapsed">Since the phase began.</param>
/// <param name="Remaining">How long the rest takes at that rate; null when nothing can be said.</param>
public readonly record struct Progress(
    JobPhase Phase, long BytesDone, long BytesTotal, double BytesPerSecond, TimeSpan Elapsed, TimeSpan? Remaining)
{
    /// <summary>The part that is done, 0 to 1; 0 when the total is not known.</summary>
    public double Fraction => BytesTotal > 0 ? Math.Min(1, (double)BytesDone / BytesTotal) : 0;
}
