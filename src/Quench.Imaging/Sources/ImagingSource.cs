using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Providers.Tracked;

namespace Quench.Imaging.Sources;

/// <summary>What a user's word for a volume turned out to be, and so how its instant can be held.</summary>
/// <param name="Name">The volume's name in the point.</param>
public abstract record ImagingSource(string Name);

/// <summary>A volume that is attached through Quench: imaged while it is used.</summary>
/// <param name="Volume">The volume.</param>
public sealed record AttachedSource(AttachedVolume Volume) : ImagingSource(Volume.Name);

/// <summary>A device or image file that nobody uses: imaged at rest.</summary>
/// <param name="Name">The volume's name in the point.</param>
/// <param name="Path">Its path, absolute.</param>
public sealed record ColdSource(string Name, string Path) : ImagingSource(Name);

/// <summary>A device that is mounted and not attached: imaged while it is used, its instant at the end.</summary>
/// <param name="Volume">The volume.</param>
public sealed record MountedSource(MountedVolume Volume) : ImagingSource(Volume.Name);
