namespace Quench.Snapshots.Coordination;

/// <summary>What the coordinator knows of one writer.</summary>
internal sealed class WriterSeat
{
    /// <summary>No call is under way.</summary>
    public const int NoCall = 0;

    public WriterState State { get; set; } = WriterState.Unknown;

    public WriterError Error { get; set; }

    public string? Message { get; set; }

    public FreezeLevel Level { get; set; }

    /// <summary>Chosen, and not failed: it is asked the next thing.</summary>
    public bool TakesPart { get; set; } = true;

    /// <summary>Told that a backup is coming, and so it must be told how that ends: by a completion or an abort.</summary>
    public bool IsEngaged { get; set; }

    /// <summary>A freeze has been ordered and no thaw or abort since. False when nobody waits for it.</summary>
    public bool MayBeFrozen { get; set; }

    /// <summary>It answered its freeze in time and then, in time, that it held until the thaw.</summary>
    public bool WasHeld { get; set; }

    /// <summary>After the instant it handed over what a restore needs, or said that there is nothing.</summary>
    public bool HandedOver { get; set; }

    /// <summary>Its components can be restored as the application left them. How it took the outcome changes nothing any more.</summary>
    public bool IsConsistent => WasHeld && HandedOver;

    /// <summary>The call under way; its event, when it began, its deadline.</summary>
    public int Call { get; set; }

    public WriterEvent Event { get; set; }

    public TimeSpan Began { get; set; }

    public TimeSpan Deadline { get; set; }

    public TimeSpan? FreezeOrdered { get; set; }

    public TimeSpan? HeldFor { get; set; }

    /// <summary>Answers to no question.</summary>
    public int Strays { get; set; }

    /// <summary>It has been cut off: it gets no more calls.</summary>
    public bool IsHungUp { get; set; }

    public List<WriterStep> Steps { get; } = [];
}
