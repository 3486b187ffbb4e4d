namespace Quench.Imaging.Activity.Writers;

/// <summary>One watch of one volume, from its start.</summary>
/// <param name="Start">When it began.</param>
/// <param name="Device">The volume's device.</param>
/// <param name="MountPoint">Where it was mounted; null when it was not.</param>
/// <param name="FileSystem">The type of its file system; null when none was mounted.</param>
/// <param name="Length">The volume's bytes.</param>
/// <param name="OwnProcess">The number of the process that watched, whose own writes are told apart.</param>
public sealed record ActivitySession(DateTimeOffset Start, string Device, string? MountPoint, string? FileSystem, long Length, int OwnProcess);
