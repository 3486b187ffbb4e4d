using System.Reflection;

namespace Quench.Tests.Simulation;

/// <summary>What happened in one world or in many: proves that the runs went where they were meant to go.</summary>
internal sealed class Tally
{
    public long Seeds;
    public long Steps;
    public long Operations;
    public long BlockOperations;      // blocks landed on, saved, or read
    public long Activations;
    public long ActivationsCancelled;
    public long Saves;
    public long SpillSaves;
    public long SaveFailures;
    public long SavesOutlivingSnapshot;
    public long BlocksReleasedWhileSaving;
    public long WaitsForActivation;
    public long WaitsForOtherSave;
    public long WaitsForDiffArea;
    public long Rereads;              // rounds of a read after the first
    public long ReadsDone;
    public long ReadsOfReleased;
    public long ReadsOfBroken;
    public long ReadsOfEnded;
    public long ReaderCrashes;
    public long EmergencyExtents;
    public long ImagesCompleted;
    public long ImagesNotShrunk;
    public long BrokenFull;
    public long BrokenSaveFailed;
    public long BrokenHoldLimit;
    public long WaitsForSpill;
    public long ReadsOnTheWay;        // blocks read from a cell on its way to the spill file
    public long SpillTooSlow;
    public long SpillFailures;
    public long SaversOutlivingSnapshot;
    public long SectorsCompared;

    private static readonly FieldInfo[] s_fields = typeof(Tally).GetFields(BindingFlags.Public | BindingFlags.Instance);

    public void Add(Tally other)
    {
        foreach (FieldInfo field in s_fields)
        {
            field.SetValue(this, (long)field.GetValue(this)! + (long)field.GetValue(other)!);
        }
    }

    /// <summary>The names of the things that never happened.</summary>
    public IEnumerable<string> Missing() => s_fields.Where(field => (long)field.GetValue(this)! == 0).Select(field => field.Name);

    public override string ToString() => string.Join(", ", s_fields.Select(field => $"{field.Name} {field.GetValue(this):N0}"));
}
