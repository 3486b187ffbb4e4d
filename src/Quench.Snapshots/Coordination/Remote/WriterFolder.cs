using Quench.Blocks;
using Quench.Snapshots.Coordination.Programs;

namespace Quench.Snapshots.Coordination.Remote;

/// <summary>Looks into a folder of writers.</summary>
internal static class WriterFolder
{
    /// <summary>A writer for each name that fits. Names that begin with a dot are none. A folder that others may write to is not looked into, and said to be so.</summary>
    public static IReadOnlyList<IWriter> Find(string folder, string pattern, Func<string, IWriter> make)
    {
        if (!Directory.Exists(folder))
        {
            return [];
        }

        try
        {
            string real = TrustedPath.Demand(folder);
            return [.. Directory.EnumerateFiles(real, pattern).Where(path => !Path.GetFileName(path).StartsWith('.')).Order(StringComparer.Ordinal).Select(make)];
        }
        catch (QuenchException failure)
        {
            return [new AbsentWriter(folder, WriterError.NonRetryable, failure.Message)];
        }
    }
}
