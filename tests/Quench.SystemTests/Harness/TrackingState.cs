using System.Globalization;

namespace Quench.SystemTests.Harness;

/// <summary>Where the volumes of this test program keep their change tracking and their snapshots: not where the machine's own volumes do.</summary>
internal static class TrackingState
{
    internal static string Root { get; } = Path.Combine(Path.GetTempPath(), string.Create(CultureInfo.InvariantCulture, $"quench-test-state-{Environment.ProcessId}"));

    /// <summary>The folder of one volume.</summary>
    internal static string Of(string name) => Path.Combine(Root, "volumes", name);

    /// <summary>Removes what a volume left, and the folders above it when they are empty.</summary>
    internal static void Clear(string name)
    {
        try
        {
            Directory.Delete(Of(name), recursive: true);
        }
        catch (DirectoryNotFoundException)
        {
            // It remembered nothing.
        }

        string snapshots = Path.Combine(Root, "snapshots");
        if (Directory.Exists(Path.Combine(snapshots, name)))
        {
            Directory.Delete(Path.Combine(snapshots, name), recursive: true);
        }

        try
        {
            if (Directory.Exists(snapshots))
            {
                Directory.Delete(snapshots);
            }

            Directory.Delete(Path.Combine(Root, "volumes"));
            Directory.Delete(Root);
        }
        catch (IOException)
        {
            // Another test's volume has its state there, or has just taken the folders away.
        }
    }
}
