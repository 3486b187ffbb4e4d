namespace Quench.Snapshots.Coordination;

/// <summary>A writer in another process, which may die, or say what it was not asked, while no call is under way.</summary>
internal interface IRemoteWriter : IWriter
{
    /// <summary>How long the next call may take; set before it, for the other side to know.</summary>
    TimeSpan NextDeadline { set; }

    /// <summary>Completes when the writer can't be spoken to any more, with the reason. Never fails.</summary>
    Task<string> Lost { get; }
}
