namespace Quench.Tests.Simulation;

/// <summary>
/// What a sector of a simulated disk holds: a stamp saying which sector it was written for and by which write. The default is a sector of
/// zeros.
/// </summary>
/// <param name="Place">The sector it was written for, plus 1.</param>
/// <param name="Sequence">The write: 1 is what the disk was made with.</param>
internal readonly record struct Sector(int Place, int Sequence)
{
    public const int Size = 512;

    /// <summary>What is in memory that nobody has written.</summary>
    public static readonly Sector Garbage = new(-1, -1);

    /// <summary>Says what is wrong with a sector: the time, the place, or everything.</summary>
    public static string Compare(int index, Sector found, Sector wanted)
    {
        string verdict = found == Garbage ? "memory that was never written"
            : found == default || wanted == default ? "zeros and data mixed up"
            : found.Place != wanted.Place ? "wrong place"
            : found.Sequence > wanted.Sequence ? "wrong time: too new"
            : "wrong time: too old";
        return $"sector {index} shows {found}, must show {wanted}: {verdict}";
    }

    public override string ToString() =>
        this == default ? "zeros" : this == Garbage ? "garbage" : $"sector {Place - 1} of write {Sequence}";
}
