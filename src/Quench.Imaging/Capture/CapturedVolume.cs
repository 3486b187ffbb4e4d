using Quench.Snapshots;
using Quench.Vault;

namespace Quench.Imaging.Capture;

/// <summary>A volume whose image is in the vault, before there is a point that names it.</summary>
/// <param name="Snapshot">Its instant.</param>
/// <param name="Record">What the point will say of it; what only the end can tell is missing.</param>
internal sealed record CapturedVolume(ISnapshot Snapshot, VolumeRecord Record);
