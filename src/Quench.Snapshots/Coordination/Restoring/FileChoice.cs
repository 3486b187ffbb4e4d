using System.IO.Enumeration;
using System.Text;

namespace Quench.Snapshots.Coordination.Restoring;

/// <summary>Which of the entries below a folder belong to a component: those that one of its file sets names, and that it does not exclude.</summary>
/// <remarks>
/// A pattern is for an entry's own name, in the folder of its set or, when the set is recursive, in any folder below; a folder is an entry like any other, so a set of "*" takes empty folders too.
/// Paths here are relative to the folder, their bytes as the characters U+0000 to U+00FF, because a file's name need not be UTF-8.
/// </remarks>
public sealed class FileChoice
{
    private readonly Part[] _files;
    private readonly Part[] _excluded;
    private readonly HashSet<string> _also;

    /// <summary>The choice below a folder.</summary>
    /// <param name="root">The folder as the application names it.</param>
    /// <param name="files">Sets; those whose folder is not the root or below it count for nothing.</param>
    /// <param name="excluded">Likewise, and recursive ones of folders above count too.</param>
    /// <param name="also">Paths below the folder that belong to it in any case.</param>
    public FileChoice(string root, IEnumerable<ComponentFiles> files, IEnumerable<ComponentFiles> excluded, params IEnumerable<string> also)
    {
        _files = [.. files.Select(set => Part.Of(root, set)).OfType<Part>()];
        _excluded = [.. excluded.Select(set => Part.Of(root, set)).OfType<Part>()];
        _also = [.. also];
        TakesRoot = _files.Any(part => part is { Folder: "", Pattern: "*" });
    }

    /// <summary>The folder itself belongs to the component, its owner and its mode too.</summary>
    public bool TakesRoot { get; }

    /// <summary>Whether an entry belongs to the component.</summary>
    /// <param name="path">Below the root, without a slash before it.</param>
    public bool Takes(string path)
    {
        int slash = path.LastIndexOf('/');
        string folder = slash < 0 ? "" : path[..slash];
        string name = TextOf(path[(slash + 1)..]);
        return _also.Contains(path) || (_files.Any(part => part.Takes(folder, name)) && !IsExcluded(folder, name));
    }

    /// <summary>A path's text with each byte as one character.</summary>
    public static string BytesOf(string text) => Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(text));

    /// <summary>The text of what has a byte in each character; bytes that are no UTF-8 are replaced.</summary>
    public static string TextOf(string bytes) => Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(bytes));

    /// <summary>A path without a slash at its end, and without "." and ".." in it.</summary>
    /// <exception cref="ArgumentException">It is not absolute.</exception>
    public static string Normal(string folder) => Path.IsPathRooted(folder)
        ? Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder))
        : throw new ArgumentException($"{folder} is not an absolute path", nameof(folder));

    /// <summary>A path relative to a folder; null when it is not below it, empty when it is the same.</summary>
    public static string? Below(string root, string path)
    {
        string folder = Normal(root).TrimEnd('/');
        string inside = Normal(path).TrimEnd('/');
        return inside == folder ? "" : inside.StartsWith(folder + "/", StringComparison.Ordinal) ? inside[(folder.Length + 1)..] : null;
    }

    private bool IsExcluded(string folder, string name) => _excluded.Any(part => part.Takes(folder, name));

    /// <summary>A file set, relative to the root.</summary>
    private sealed record Part(string Folder, string Pattern, bool IsRecursive)
    {
        public static Part? Of(string root, ComponentFiles set) => Below(root, set.Folder) is { } inside
            ? new Part(BytesOf(inside), set.Pattern, set.IsRecursive)
            : Below(set.Folder, root) is not null && set.IsRecursive ? new Part("", set.Pattern, true) : null;

        public bool Takes(string folder, string name) =>
            (folder == Folder || (IsRecursive && (Folder.Length == 0 || folder.StartsWith(Folder + "/", StringComparison.Ordinal))))
            && (Pattern == "*" || FileSystemName.MatchesSimpleExpression(Pattern, name, ignoreCase: false));
    }
}
