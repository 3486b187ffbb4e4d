using Quench.Blocks;

namespace Quench.SystemTests.Harness;

/// <summary>A file as a plain loop device, without Quench.</summary>
internal sealed class LoopedFile : IAsyncDisposable
{
    private LoopedFile(string device) => Device = device;

    internal string Device { get; }

    internal static async Task<LoopedFile> AttachAsync(string path) =>
        new((await Tool.RunAsync("losetup", "--find", "--show", path)).Trim());

    internal static async Task<LoopedFile> AttachAsync(string path, Extent part) =>
        new((await Tool.RunAsync("losetup", "--find", "--show", "--offset", $"{part.Offset}", "--sizelimit", $"{part.Length}", path)).Trim());

    /// <inheritdoc/>
    public async ValueTask DisposeAsync() => await Tool.RunAsync("losetup", "-d", Device);
}
