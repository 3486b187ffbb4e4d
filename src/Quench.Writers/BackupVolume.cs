namespace Quench.Writers;

/// <summary>A volume that is imaged.</summary>
/// <param name="Name">Its name in the recovery point.</param>
/// <param name="Device">Its device.</param>
/// <param name="MountPoint">Where it is mounted; null when it is not.</param>
public sealed record BackupVolume(string Name, string Device, string? MountPoint);
