using Quench.Blocks;

namespace Quench.Cli.Commands.Shadow.Script;

/// <summary>
/// Understands a script in the dialect of diskshadow, with Linux volumes, folders and programs. All of it is understood before any of it is done. (Windows Commands reference, "diskshadow")
/// </summary>
internal static class ScriptParser
{
    private static readonly string[] s_harmlessOptions = ["differential", "noautorecover", "rollbackrecover", "txfrecover"];

    /// <summary>Understands all lines up to an exit.</summary>
    /// <exception cref="QuenchException">CLI-160, exit code 2.</exception>
    public static IReadOnlyList<ScriptStep> Parse(string script)
    {
        List<ScriptStep> steps = [];
        foreach (ScriptLine line in ScriptLine.Read(script))
        {
            steps.Add(Parse(line));
            if (steps[^1] is ExitScript)
            {
                break;
            }
        }

        return steps;
    }

    private static ScriptStep Parse(ScriptLine line) => (Lower(line, 0), Lower(line, 1)) switch
    {
        ("set", "context") => Context(line),
        ("set", "verbose") => new SetVerbose(line.Number, Word(line, 2, "on or off").ToUpperInvariant() switch
        {
            "ON" => true,
            "OFF" => false,
            _ => throw ScriptErrors.Refuse(line.Number, "set verbose is followed by on or off"),
        }),
        ("set", "metadata") => new SetMetadata(line.Number, Word(line, 2, "a file")),
        ("set", "option") => Options(line),
        ("add", "volume") => Volume(line),
        ("add", "alias") => new AddAlias(line.Number, Name(line, 2), Word(line, 3, "what it stands for")),
        ("begin", "backup") => new BeginBackup(line.Number),
        ("end", "backup") => new EndBackup(line.Number),
        ("writer", "verify") => new VerifyWriter(line.Number, Word(line, 2, "a writer's name")),
        ("writer", "exclude") => new ExcludeWriter(line.Number, Word(line, 2, "a writer's name")),
        ("delete", "shadows") => Delete(line),
        ("list", "shadows" or "writers" or "providers") => List(line),
        ("create", "") => new CreateSet(line.Number),
        ("expose", not "") => new ExposeCopy(line.Number, line.Words[1], Folder(line)),
        ("unexpose", not "") => new UnexposeCopy(line.Number, line.Words[1]),
        ("exec", not "") => new Execute(line.Number, line.Words[1], [.. line.Words.Skip(2)]),
        ("reset", "") => new Reset(line.Number),
        ("exit", "") => new ExitScript(line.Number),
        _ => throw Unknown(line),
    };

    private static SetContext Context(ScriptLine line)
    {
        string[] words = [.. line.Words.Skip(2).Select(word => word.ToUpperInvariant())];
        return words switch
        {
            ["PERSISTENT"] => new SetContext(line.Number, IsPersistent: true, HoldsWriters: true),
            ["PERSISTENT", "NOWRITERS"] or ["CLIENTACCESSIBLE"] => new SetContext(line.Number, IsPersistent: true, HoldsWriters: false),
            ["VOLATILE"] => new SetContext(line.Number, IsPersistent: false, HoldsWriters: true),
            ["VOLATILE", "NOWRITERS"] => new SetContext(line.Number, IsPersistent: false, HoldsWriters: false),
            _ => throw ScriptErrors.Refuse(line.Number, "set context is followed by persistent, volatile or clientaccessible, the first two also with nowriters"),
        };
    }

    private static SetOption Options(ScriptLine line)
    {
        foreach (string word in line.Words.Skip(2).Where(word => !s_harmlessOptions.Contains(word, StringComparer.OrdinalIgnoreCase)))
        {
            throw ScriptErrors.Refuse(line.Number, $"set option {word} is not something that shadow copies here can be", word.ToUpperInvariant() switch
            {
                "PLEX" => "take the copy, then make a full one of it with `quench snapshot clone`",
                "TRANSPORTABLE" => "back the volume up with `quench backup`, and restore the point on the other machine",
                _ => null,
            });
        }

        return new SetOption(line.Number);
    }

    private static AddVolume Volume(ScriptLine line)
    {
        string volume = Word(line, 2, "a volume");
        string? alias = null;
        for (int index = 3; index < line.Words.Count; index += 2)
        {
            switch (Lower(line, index))
            {
                case "alias":
                    alias = Name(line, index + 1);
                    break;
                case "provider" when Lower(line, index + 1) == "filter":
                    break;
                default:
                    throw ScriptErrors.Refuse(line.Number, $"after add volume {volume} may follow alias NAME and provider filter, not {line.Words[index]}");
            }
        }

        return new AddVolume(line.Number, volume, alias);
    }

    private static DeleteCopies Delete(ScriptLine line) => Lower(line, 2) switch
    {
        "all" when line.Words.Count == 3 => new DeleteCopies(line.Number, "all", ""),
        "volume" or "oldest" or "set" or "id" => new DeleteCopies(line.Number, Lower(line, 2), Word(line, 3, "what to delete")),
        _ => throw ScriptErrors.Refuse(line.Number, "delete shadows is followed by all, volume V, oldest V, set ID or id ID"),
    };

    private static ListThings List(ScriptLine line)
    {
        string kind = Lower(line, 1);
        return (kind, Lower(line, 2)) switch
        {
            ("shadows", "" or "all") or ("providers", "") => new ListThings(line.Number, kind, null),
            ("shadows", "set" or "id") => new ListThings(line.Number, kind, Word(line, 3, "an id")),
            ("writers", _) => new ListThings(line.Number, kind, null), // status, metadata, detailed: what there is to say is said
            _ => throw ScriptErrors.Refuse(line.Number, "list is followed by shadows (all, set ID, id ID), writers or providers"),
        };
    }

    private static string Folder(ScriptLine line)
    {
        string folder = Word(line, 2, "a folder to mount it at");
        return folder.Length <= 2 && folder.EndsWith(':')
            ? throw ScriptErrors.Refuse(line.Number, $"there is no drive {folder} here", "name a folder, which must be there and be empty: expose %ALIAS% /mnt/copy")
            : folder;
    }

    private static QuenchException Unknown(ScriptLine line) => ScriptErrors.Refuse(line.Number, $"\"{string.Join(' ', line.Words)}\" is not something that a script can say here", Lower(line, 0) switch
    {
        "revert" => "unmount the volume and use `quench snapshot revert`, which shows what it would overwrite",
        "import" or "load" or "mask" or "break" => "copies are carried to another machine by `quench backup` and `quench restore`",
        "simulate" => "`quench writers test` goes through the protocol without a copy",
        _ => null,
    });

    private static string Lower(ScriptLine line, int index) => index < line.Words.Count ? line.Words[index].ToLowerInvariant() : "";

    private static string Word(ScriptLine line, int index, string what) => index < line.Words.Count
        ? line.Words[index]
        : throw ScriptErrors.Refuse(line.Number, $"\"{string.Join(' ', line.Words)}\" must be followed by {what}");

    private static string Name(ScriptLine line, int index)
    {
        string name = Word(line, index, "an alias");
        return name.Length <= 64 && name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '_' or '-') && !char.IsAsciiDigit(name[0])
            ? name
            : throw ScriptErrors.Refuse(line.Number, $"\"{name}\" is no alias: letters, digits, _ and -, 64 at most, and no digit first");
    }
}
