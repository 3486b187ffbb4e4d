namespace Quench.Exports.Mounting;

/// <summary>Which file system on a device is to be mounted.</summary>
/// <param name="Type">Its type as mount(8) calls it: "ext4".</param>
public sealed record MountRequest(string Type)
{
    /// <summary>Its first byte on the device.</summary>
    public long Offset { get; init; }

    /// <summary>Its bytes; 0 for all that follow.</summary>
    public long Length { get; init; }
}
