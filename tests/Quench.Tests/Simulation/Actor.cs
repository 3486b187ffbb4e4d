namespace Quench.Tests.Simulation;

/// <summary>How an actor leaves the stage between two of its steps.</summary>
internal enum Pace
{
    /// <summary>It can go on at any time.</summary>
    Ran,

    /// <summary>It waits for the engine's wake version to grow.</summary>
    Waits,
}

/// <summary>Someone who acts in the world a step at a time: the steps of all actors are interleaved at random.</summary>
internal sealed class Actor(string name, IEnumerator<Pace> story)
{
    public string Name => name;

    public IEnumerator<Pace> Story => story;

    /// <summary>Not before this time, unless woken.</summary>
    public long SleepsUntil { get; set; }

    /// <summary>The wake version it waits to see exceeded; -1 when it does not wait.</summary>
    public long ParkedAt { get; set; } = -1;

    /// <summary>While parked: the time at which it goes on although nobody woke it; <see cref="long.MaxValue"/> for never.</summary>
    public long Deadline { get; set; } = long.MaxValue;
}
