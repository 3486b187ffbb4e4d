using System.Runtime.CompilerServices;

namespace Quench.Tests.Architecture;

/// <summary>Where the sources are that these tests were built from.</summary>
internal static class Repository
{
    public static string Root { get; } = Find();

    public static IEnumerable<string> Sources(string below) => Directory
        .EnumerateFiles(Path.Combine(Root, below), "*.cs", SearchOption.AllDirectories)
        .Where(path => !path.Contains("/obj/", StringComparison.Ordinal) && !path.Contains("/bin/", StringComparison.Ordinal));

    public static IEnumerable<string> Projects(string below) =>
        Directory.EnumerateFiles(Path.Combine(Root, below), "*.csproj", SearchOption.AllDirectories).Order(StringComparer.Ordinal);

    public static string Relative(string path) => Path.GetRelativePath(Root, path);

    /// <summary>The compiled file of a project, beside these tests.</summary>
    public static string Assembly(string project) =>
        Path.Combine(AppContext.BaseDirectory, (project == "Quench.Cli" ? "quench" : project) + ".dll");

    private static string Find([CallerFilePath] string here = "")
    {
        DirectoryInfo? directory = new(Path.GetDirectoryName(here)!);
        while (directory is not null && !File.Exists(Path.Combine(directory.FullName, "Quench.slnx")))
        {
            directory = directory.Parent;
        }

        return directory?.FullName ?? throw new InvalidOperationException("the tests run without their sources");
    }
}
