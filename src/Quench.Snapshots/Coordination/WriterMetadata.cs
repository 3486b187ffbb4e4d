namespace Quench.Snapshots.Coordination;

/// <summary>When a writer is frozen beside the others: the ones in front first, and thawed last to first.</summary>
public enum FreezeLevel
{
    /// <summary>It gives work to others: a web application in front of a database.</summary>
    FrontEnd,

    /// <summary>It keeps the data: a database.</summary>
    BackEnd,

    /// <summary>Others, of both kinds, run in it or on it: a service manager, a virtual machine.</summary>
    System,
}

/// <summary>What a writer says about its application. Sealed into the point.</summary>
public sealed record WriterMetadata
{
    /// <summary>When it is frozen.</summary>
    public FreezeLevel Level { get; init; } = FreezeLevel.BackEnd;

    /// <summary>The application's version, as it says it itself; empty when it does not.</summary>
    public string Version { get; init; } = "";

    /// <summary>How it holds its writes, and so what a restored copy will do first: one sentence for people.</summary>
    public required string Method { get; init; }

    /// <summary>What it owns.</summary>
    public required IReadOnlyList<WriterComponent> Components { get; init; }

    /// <summary>Why its files can be imaged but not held, when that is known already (no permission, wrong version): one sentence; null when it can hold.</summary>
    /// <remarks>Such a writer is shown and not called again; its components are of no higher grade than the file system.</remarks>
    public string? CannotHold { get; init; }
}

/// <summary>Files that belong together and are restored together.</summary>
public sealed record WriterComponent
{
    /// <summary>Its name, unique within the writer: a database, a unit.</summary>
    public required string Name { get; init; }

    /// <summary>What people should read beside the name; empty for nothing.</summary>
    public string Caption { get; init; } = "";

    /// <summary>What kind of thing it is.</summary>
    public ComponentKind Kind { get; init; } = ComponentKind.Database;

    /// <summary>The files it is made of. All of them are needed.</summary>
    public required IReadOnlyList<ComponentFiles> Files { get; init; }

    /// <summary>Files among them that are not worth keeping: process ids, sockets, temporary files.</summary>
    public IReadOnlyList<ComponentFiles> Excluded { get; init; } = [];

    /// <summary>How the files are put back.</summary>
    public RestoreMethod Restore { get; init; } = RestoreMethod.StopRestoreStart;

    /// <summary>What a person who restores it must know: one sentence or two; empty for nothing.</summary>
    public string RestoreNote { get; init; } = "";
}

/// <summary>What a component is. Numbered as VSS numbers component types.</summary>
public enum ComponentKind
{
    /// <summary>A database with its logs.</summary>
    Database = 1,

    /// <summary>Any files that belong together.</summary>
    FileGroup = 2,
}

/// <summary>A folder's files.</summary>
/// <param name="Folder">An absolute path on the running machine.</param>
/// <param name="Pattern">Which names: "*" for all, otherwise with * and ?. Never a path.</param>
/// <param name="IsRecursive">The folders below too.</param>
public sealed record ComponentFiles(string Folder, string Pattern = "*", bool IsRecursive = true);

/// <summary>How a component's files are put back. Numbered as VSS numbers restore methods.</summary>
public enum RestoreMethod
{
    /// <summary>Put them where they were if nothing is there.</summary>
    RestoreIfNotThere = 1,

    /// <summary>Put them where they were, over what is there, while the application runs.</summary>
    RestoreIfCanReplace = 2,

    /// <summary>Stop the application, put them back, start it.</summary>
    StopRestoreStart = 3,

    /// <summary>Put them elsewhere; a person takes it from there.</summary>
    RestoreToAlternateLocation = 4,

    /// <summary>As the note says.</summary>
    Custom = 7,
}
