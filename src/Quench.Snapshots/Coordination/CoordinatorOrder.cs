namespace Quench.Snapshots.Coordination;

/// <summary>What the coordinator wants done.</summary>
internal enum OrderKind
{
    /// <summary>Call a writer. Its answer comes back with the call's number.</summary>
    Call,

    /// <summary>Cut a writer off: cancel what it does, close its connection, end its process. It does not answer.</summary>
    HangUp,

    /// <summary>Take the instant now.</summary>
    TakeInstant,
}

/// <summary>One decision of the coordinator, for the runner to carry out.</summary>
/// <param name="Kind">What.</param>
/// <param name="Writer">Which writer; -1 for the provider.</param>
/// <param name="Call">The call's number, never used twice.</param>
/// <param name="Event">What the writer is asked.</param>
/// <param name="Deadline">When the answer comes too late, on the coordinator's clock.</param>
internal readonly record struct CoordinatorOrder(OrderKind Kind, int Writer, int Call, WriterEvent Event, TimeSpan Deadline);

/// <summary>What a writer answered to a call.</summary>
internal readonly record struct WriterAnswer
{
    /// <summary>How it ended.</summary>
    public WriterError Error { get; init; }

    /// <summary>Why it failed, in its words.</summary>
    public string? Message { get; init; }

    /// <summary>To a thaw: its writes were held all the time.</summary>
    public bool IsHeld { get; init; }

    /// <summary>To an identify: when it is to be frozen.</summary>
    public FreezeLevel Level { get; init; }

    /// <summary>It did what it was asked.</summary>
    public static WriterAnswer Done => default;

    /// <summary>It failed.</summary>
    public static WriterAnswer Failed(WriterError error, string message) => new() { Error = error, Message = message };
}
