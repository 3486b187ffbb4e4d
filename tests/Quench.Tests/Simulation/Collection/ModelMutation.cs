namespace Quench.Tests.Simulation.Collection;

/// <summary>A mistake made on purpose, to prove that the model would see it.</summary>
public enum ModelMutation
{
    None,

    /// <summary>The collector does not decide the fate of running sessions.</summary>
    NoWait,

    /// <summary>A session commits although it was revoked: a lease that ran out unnoticed.</summary>
    NoFence,

    /// <summary>The collector does not look at the points again after it has condemned.</summary>
    NoRelist,

    /// <summary>A session registers after it has read.</summary>
    RegisterLate,

    /// <summary>A session relies on what it knew of the store before the last collection.</summary>
    StaleCache,

    /// <summary>A pack is named by its content, so that a name comes back.</summary>
    ContentNames,

    /// <summary>A pack is condemned and deleted on the strength of a copy that is still to be written.</summary>
    CondemnBeforeCopy,

    /// <summary>A collector goes by its own lists although another's stand.</summary>
    OwnListsCount,

    /// <summary>An index object is deleted before the one that replaces it is there.</summary>
    IndexDeletedFirst,

    /// <summary>A session trusts a pack that no index object names: one that is being deleted, say.</summary>
    UnnamedPackTrusted,

    /// <summary>The lists of a finished generation are deleted, so that a collector which slept finds the names free.</summary>
    OldListsDeleted,

    /// <summary>A session looks at the newest generation only when it is done, as if its list did not count before.</summary>
    OpenGenerationIgnored,
}
