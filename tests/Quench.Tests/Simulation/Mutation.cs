namespace Quench.Tests.Simulation;

/// <summary>
/// A mistake made on purpose, to prove that the simulator would see it. Those of reliability row A4, and some of our own.
/// </summary>
internal enum Mutation
{
    None,

    /// <summary>The new data lands, then the old data is saved.</summary>
    WriteBeforeCopy,

    /// <summary>Blocks are reported saved before the copy is complete.</summary>
    SavedBeforeCopyIsComplete,

    /// <summary>Off by one: the last block of a save is not copied.</summary>
    LastBlockNotSaved,

    /// <summary>A write lands although another write is saving a block they share.</summary>
    OverlapNotAwaited,

    /// <summary>A reader believes what it read from the origin.</summary>
    ReaderDoesNotRecheck,

    /// <summary>A slot is given back while its block is still promised.</summary>
    SlotFreedWhileNeeded,

    /// <summary>Writes count as ended when they begin to land, so an activation does not wait for them.</summary>
    ActivationWithoutDrain,

    /// <summary>The memory behind the slots goes when the snapshot ends, whoever is still filling it.</summary>
    SlotMemoryFreedAtEnd,

    /// <summary>Imaging says that blocks are imaged before it has read them.</summary>
    ReleasedBeforeRead,

    /// <summary>A waiter is woken by the end of its own clock only: no call wakes it.</summary>
    WakeForgotten,
}
