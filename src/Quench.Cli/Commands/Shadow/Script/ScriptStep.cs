namespace Quench.Cli.Commands.Shadow.Script;

/// <summary>What one line of a script wants. Words may hold %NAME%, which is known only when it is the line's turn.</summary>
/// <param name="Line">Its number.</param>
internal abstract record ScriptStep(int Line);

/// <summary>set context: whether copies outlive the script, and whether applications are held.</summary>
internal sealed record SetContext(int Line, bool IsPersistent, bool HoldsWriters) : ScriptStep(Line);

/// <summary>set verbose.</summary>
internal sealed record SetVerbose(int Line, bool IsOn) : ScriptStep(Line);

/// <summary>set metadata: where the writers' own documents go when copies are taken.</summary>
internal sealed record SetMetadata(int Line, string Path) : ScriptStep(Line);

/// <summary>set option: what we do anyway.</summary>
internal sealed record SetOption(int Line) : ScriptStep(Line);

/// <summary>add volume.</summary>
internal sealed record AddVolume(int Line, string Volume, string? Alias) : ScriptStep(Line);

/// <summary>add alias.</summary>
internal sealed record AddAlias(int Line, string Name, string Value) : ScriptStep(Line);

/// <summary>begin backup: applications hear of the backup's end at `end backup` and not before.</summary>
internal sealed record BeginBackup(int Line) : ScriptStep(Line);

/// <summary>end backup.</summary>
internal sealed record EndBackup(int Line) : ScriptStep(Line);

/// <summary>writer verify: no copies without this one.</summary>
internal sealed record VerifyWriter(int Line, string Name) : ScriptStep(Line);

/// <summary>writer exclude: this one is not held.</summary>
internal sealed record ExcludeWriter(int Line, string Name) : ScriptStep(Line);

/// <summary>create.</summary>
internal sealed record CreateSet(int Line) : ScriptStep(Line);

/// <summary>expose: mounts a copy at a folder, for reading.</summary>
internal sealed record ExposeCopy(int Line, string Id, string Folder) : ScriptStep(Line);

/// <summary>unexpose: by the folder or the id.</summary>
internal sealed record UnexposeCopy(int Line, string What) : ScriptStep(Line);

/// <summary>delete shadows: all, volume, oldest, set or id.</summary>
internal sealed record DeleteCopies(int Line, string Kind, string What) : ScriptStep(Line);

/// <summary>exec: a program and its words.</summary>
internal sealed record Execute(int Line, string Program, IReadOnlyList<string> Arguments) : ScriptStep(Line);

/// <summary>list: shadows, writers or providers.</summary>
internal sealed record ListThings(int Line, string Kind, string? Id) : ScriptStep(Line);

/// <summary>reset: as at the beginning.</summary>
internal sealed record Reset(int Line) : ScriptStep(Line);

/// <summary>exit: the lines below are not looked at.</summary>
internal sealed record ExitScript(int Line) : ScriptStep(Line);
