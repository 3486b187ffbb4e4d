using Xunit;

namespace Quench.Tests;

/// <summary>A loop device over a file of its own; detached afterwards. Needs root.</summary>
internal sealed class LoopDevice : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory;

    private LoopDevice(TemporaryDirectory directory, string path)
    {
        _directory = directory;
        Path = path;
    }

    public string Path { get; }

    public static async Task<LoopDevice> AttachAsync(long length, int sectorSize = 512)
    {
        Requires.Root();
        Requires.Tool("losetup");
        TemporaryDirectory directory = new();
        try
        {
            await using (FileStream file = File.Create(directory["disk"]))
            {
                file.SetLength(length);
            }

            (int code, string output) = await Tool.RunAsync("losetup", "--find", "--show", "--sector-size", $"{sectorSize}", directory["disk"]);
            Assert.SkipUnless(code == 0, $"needs a free loop device: {output}");
            return new LoopDevice(directory, output.Trim());
        }
        catch
        {
            directory.Dispose();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Tool.DemandAsync("losetup", "--detach", Path);
        _directory.Dispose();
    }
}
