namespace Quench.Tests.Simulation;

/// <summary>Chance for the simulator: SplitMix64, written out here so that a seed means the same run on every runtime.</summary>
internal sealed class Dice(long seed)
{
    private ulong _state = unchecked((ulong)seed * 0x9E3779B97F4A7C15);

    /// <summary>A number from 0 up to, not including, a bound.</summary>
    public int Below(int bound) => (int)Math.BigMul(NextBits(), (ulong)bound, out _);

    /// <summary>A number from one bound to another, both included.</summary>
    public int Between(int low, int high) => low + Below(high - low + 1);

    /// <summary>True once in so many throws.</summary>
    public bool OneIn(int throws) => Below(throws) == 0;

    private ulong NextBits()
    {
        unchecked
        {
            ulong mixed = _state += 0x9E3779B97F4A7C15;
            mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
            mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
            return mixed ^ (mixed >> 31);
        }
    }
}
