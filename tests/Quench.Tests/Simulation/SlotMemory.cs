namespace Quench.Tests.Simulation;

/// <summary>
/// The memory and the spill file behind a snapshot's slots. Touching it after it was freed is a failure, as it would be a crash in earnest.
/// </summary>
internal sealed class SlotMemory(long ramSlots, long spillSlots, int sectorsPerBlock)
{
    private readonly Sector[] _sectors = Fill(new Sector[(ramSlots + spillSlots) * sectorsPerBlock]);
    private bool _isFreed;

    /// <summary>A sector counted from the start of a slot; may lie in a slot that follows.</summary>
    public Sector this[long slot, long sector]
    {
        get => Alive()[(slot * sectorsPerBlock) + sector];
        set => Alive()[(slot * sectorsPerBlock) + sector] = value;
    }

    public void Free() => _isFreed = true;

    /// <summary>A run lies wholly in memory or wholly in the spill file.</summary>
    public void CheckRun(long first, long count)
    {
        if (first < ramSlots && first + count > ramSlots)
        {
            throw new SimulationException($"{count} slots from {first} lie half in memory ({ramSlots} slots), half in the spill file");
        }
    }

    private Sector[] Alive() => _isFreed ? throw new SimulationException("slot memory was used after it was freed") : _sectors;

    private static Sector[] Fill(Sector[] sectors)
    {
        Array.Fill(sectors, Sector.Garbage);
        return sectors;
    }
}
