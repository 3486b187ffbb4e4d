using System.Reflection;

namespace Quench.Tests.Simulation.Tracking;

/// <summary>How often a simulation went where it should.</summary>
internal sealed class TrackingTally
{
    public long Steps { get; set; }

    public long Writes { get; set; }

    public long FreeWrites { get; set; }

    public long Waits { get; set; }

    public long Commits { get; set; }

    public long Checkpoints { get; set; }

    public long Instants { get; set; }

    public long Remembered { get; set; }

    public long Answers { get; set; }

    public long AnswersAfterCrash { get; set; }

    public long DoubtfulAnswers { get; set; }

    public long ExactAnswers { get; set; }

    public long Kills { get; set; }

    public long PowerCuts { get; set; }

    public long TornSectors { get; set; }

    public long CleanDetaches { get; set; }

    public long Believed { get; set; }

    public long Disbelieved { get; set; }

    public long ForeignWrites { get; set; }

    public void Add(TrackingTally other)
    {
        foreach (PropertyInfo property in typeof(TrackingTally).GetProperties())
        {
            property.SetValue(this, (long)property.GetValue(this)! + (long)property.GetValue(other)!);
        }
    }

    public IEnumerable<string> Missing() => typeof(TrackingTally).GetProperties().Where(property => (long)property.GetValue(this)! == 0).Select(property => property.Name);

    public override string ToString() => string.Join(", ", typeof(TrackingTally).GetProperties().Select(property => $"{property.Name} {property.GetValue(this)}"));
}
