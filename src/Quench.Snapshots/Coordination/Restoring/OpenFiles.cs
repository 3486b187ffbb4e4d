using System.Globalization;

namespace Quench.Snapshots.Coordination.Restoring;

/// <summary>Who has files open below a folder: what /proc shows now. Removed files that are still open count.</summary>
public static class OpenFiles
{
    /// <summary>The first process that has one that matters, other than this one.</summary>
    /// <param name="folder">A real path.</param>
    /// <param name="matters">Whether a file matters, by its path below the folder.</param>
    /// <returns>The process's name and number, and the file; null when there is none.</returns>
    public static (string Process, string File)? FindFirst(string folder, Func<string, bool> matters)
    {
        const string Removed = " (deleted)";
        string below = folder.TrimEnd('/') + "/";
        foreach (string process in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(process), CultureInfo.InvariantCulture, out int id) || id == Environment.ProcessId)
            {
                continue;
            }

            foreach (string file in FilesOf(process))
            {
                string path = file.EndsWith(Removed, StringComparison.Ordinal) ? file[..^Removed.Length] : file;
                if (path.StartsWith(below, StringComparison.Ordinal) && matters(FileChoice.BytesOf(path[below.Length..])))
                {
                    return (string.Create(CultureInfo.InvariantCulture, $"{NameOf(process)} (process {id})"), path);
                }
            }
        }

        return null;
    }

    private static IEnumerable<string> FilesOf(string process)
    {
        string[] descriptors;
        try
        {
            descriptors = Directory.GetFiles(Path.Combine(process, "fd"));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return []; // it has ended
        }

        return descriptors.Select(TargetOf).OfType<string>();
    }

    private static string? TargetOf(string descriptor)
    {
        try
        {
            return new FileInfo(descriptor).LinkTarget;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static string NameOf(string process)
    {
        try
        {
            return File.ReadAllText(Path.Combine(process, "comm")).TrimEnd('\n');
        }
        catch (IOException)
        {
            return "a process";
        }
    }
}
