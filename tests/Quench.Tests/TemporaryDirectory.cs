namespace Quench.Tests;

/// <summary>A directory of a test's own, gone afterwards.</summary>
internal sealed class TemporaryDirectory : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("quench-test-");

    public string Path => _directory.FullName;

    public string this[string name] => System.IO.Path.Combine(Path, name);

    public void Dispose() => _directory.Delete(recursive: true);
}
