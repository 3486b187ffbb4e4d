using Quench.Blocks;

namespace Quench.Snapshots.Providers.Filter;

// The client surface of the filter provider, for the command line to build against. The provider itself replaces this file.
#pragma warning disable CS1591 // replaced as a whole

public sealed record AttachedVolume(string Name, string Origin, string Device, long Length, string? MountPoint, string State);

public sealed record AttachOptions;

public sealed record SnapshotOptions
{
    public long MemoryBytes { get; init; }

    public string? SpillPath { get; init; }

    public long CapBytes { get; init; }

    public bool Freeze { get; init; } = true;

    public TimeSpan FreezeLimit { get; init; } = TimeSpan.FromSeconds(5);
}

public static class FilterVolumes
{
    public static IReadOnlyList<AttachedVolume> List() => [];

    public static AttachedVolume? Find(string nameOrDeviceOrMountPointOrOrigin) => null;
}

public static class FilterProvider
{
    public static Task<ISnapshot> TakeAsync(AttachedVolume volume, SnapshotOptions options, CancellationToken cancellationToken) =>
        throw new QuenchException("SNAP-199", "the filter provider is not in this build");
}

public static class FilterAttachment
{
    public static Task<AttachedVolume> AttachAsync(string originPath, string name, AttachOptions options, CancellationToken cancellationToken) =>
        throw new QuenchException("SNAP-199", "the filter provider is not in this build");

    public static Task DetachAsync(string name, CancellationToken cancellationToken) =>
        throw new QuenchException("SNAP-199", "the filter provider is not in this build");
}

public static class FilterWorker
{
    public static Task<int> RunAsync(string[] args) => Task.FromResult(1);
}

public static class ThawGuard
{
    public static int Run(string[] args) => 1;
}
