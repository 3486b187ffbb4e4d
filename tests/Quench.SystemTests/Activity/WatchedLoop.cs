using Quench.Snapshots.Writes;
using Quench.SystemTests.Harness;
using Quench.SystemTests.Tracked;
using Xunit;

namespace Quench.SystemTests.Activity;

/// <summary>A mounted volume of its own, what was pending on it written out, and watched since then.</summary>
internal sealed class WatchedLoop : IAsyncDisposable
{
    private readonly List<WriteEvent> _events = [];

    private WatchedLoop(MountedLoop loop, WriteWatch watch) => (Loop, Watch) = (loop, watch);

    internal MountedLoop Loop { get; }

    internal WriteWatch Watch { get; }

    /// <summary>All that has been heard, up to now.</summary>
    internal IReadOnlyList<WriteEvent> Events
    {
        get
        {
            Watch.Take(_events);
            return _events;
        }
    }

    /// <summary>A place on the volume; its folder is made.</summary>
    internal string this[string path]
    {
        get
        {
            string full = Path.Combine(Loop.MountPoint, path);
            Directory.CreateDirectory(Path.GetDirectoryName(full)!);
            return full;
        }
    }

    internal static async Task<WatchedLoop> CreateAsync(VolumeKind kind, long length, WriteWatchOptions? options = null, string mountOptions = "defaults")
    {
        MountedLoop loop = await MountedLoop.CreateAsync(kind, length, mountOptions);
        try
        {
            await Tool.RunAsync("sync", "-f", loop.MountPoint);
            return new WatchedLoop(loop, WriteWatch.Start(WatchedVolume.Find(loop.MountPoint), options ?? new WriteWatchOptions(), TimeProvider.System));
        }
        catch
        {
            await loop.DisposeAsync();
            throw;
        }
    }

    /// <summary>All of it in words, for a failure's message.</summary>
    internal string Told => string.Join('\n', Events.GroupBy(one => (one.Kind, one.Process.Name, one.Evidence, one.File.Kind, one.File.Path))
        .Select(group => $"{group.Key}: {group.Count()} requests, {group.Sum(one => one.Length)} bytes")) + $"\n{Watch.Losses}";

    internal Task SyncAsync() => Tool.RunAsync("sync", "-f", Loop.MountPoint);

    internal void Forget()
    {
        _ = Events;
        _events.Clear();
    }

    internal long Sum(Func<WriteEvent, bool> which) => Events.Where(which).Sum(one => one.Length);

    internal WrittenFile Last(WriteKind kind, WrittenKind file) => Events.Last(one => one.Kind == kind && one.File.Kind == file).File;

    /// <summary>Demands that just so much was written to a file, by one process, known in one way; and that nothing was missed.</summary>
    internal void DemandWritten(string path, string process, WriterEvidence evidence, long bytes)
    {
        WriteEvent[] mine = [.. Events.Where(one => one.Kind == WriteKind.Write && one.File.Path == path)];
        string told = Told;
        Assert.True(mine.Sum(one => one.Length) == bytes, told);
        Assert.True(mine.All(one => one.Process.Name == process && one.Evidence == evidence && !one.Process.IsKernel), told);
        Assert.True(Watch.Losses == default, told);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        Watch.Dispose();
        await Loop.DisposeAsync();
    }
}
