namespace Quench.Blocks.Devices;

/// <summary>What a disk is opened for.</summary>
public enum DeviceAccess
{
    /// <summary>Reading only; every write is refused.</summary>
    Read,

    /// <summary>Reading and writing.</summary>
    ReadWrite,
}
