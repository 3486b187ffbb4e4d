namespace Quench.Writers;

/// <summary>Files of a folder.</summary>
/// <param name="Folder">An absolute path.</param>
/// <param name="Pattern">A name with * and ?.</param>
/// <param name="IsRecursive">Whether in the folders below too.</param>
public sealed record WriterFiles(string Folder, string Pattern = "*", bool IsRecursive = true);
