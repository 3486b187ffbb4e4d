using System.Text;

namespace Quench.FileSystems;

/// <summary>Which files are looked for on a volume. Constant; readable from many threads.</summary>
public interface IFileSelection
{
    /// <summary>What is wanted on one file system.</summary>
    /// <param name="type">The file system, as <see cref="FileSystemFacts.Type"/> names it.</param>
    /// <param name="partition">The number of the partition that it lies on; null when it has the volume to itself.</param>
    /// <returns>What is wanted of its root folder; null when nothing on it is, and it need not be looked at.</returns>
    IFolderSelection? RootOf(string type, int? partition);
}

/// <summary>What is wanted of one folder and of those below it. Constant; readable from many threads.</summary>
public interface IFolderSelection
{
    /// <summary>Says whether a regular file of this folder is wanted.</summary>
    /// <param name="name">Its name, without a slash. Bytes that are no UTF-8 arrive as U+FFFD.</param>
    /// <param name="ignoresCase">Whether the file system takes names for one that differ in case only.</param>
    /// <returns>Null when it is not.</returns>
    WantedFile? FileOf(string name, bool ignoresCase);

    /// <summary>What is wanted of a folder in this one; null when nothing below it can be wanted, and it need not be read.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="ignoresCase">As in <see cref="FileOf"/>.</param>
    IFolderSelection? Below(string name, bool ignoresCase);
}

/// <summary>That a file is wanted.</summary>
/// <param name="Rule">The number of the rule that says so.</param>
/// <param name="KeptHead">Bytes at the file's start that are not.</param>
/// <param name="UnlessStart">Letters of ASCII; a file that begins with them, in whatever case, is not wanted. Null for none.</param>
public readonly record struct WantedFile(int Rule, long KeptHead, string? UnlessStart = null)
{
    /// <summary>Whether these first bytes of a file, as many as <see cref="UnlessStart"/> has letters, say that it is not wanted.</summary>
    internal bool IsUnwanted(ReadOnlySpan<byte> start) => UnlessStart is { } letters && Ascii.EqualsIgnoreCase(start, letters);

    /// <summary>What is wanted of a file that two rules want under two names: the least of both.</summary>
    internal WantedFile With(WantedFile other) => this with { KeptHead = Math.Max(KeptHead, other.KeptHead), UnlessStart = UnlessStart ?? other.UnlessStart };
}
