namespace Quench.Exports.Nbd.Wire;

/// <summary>What a client asks for in transmission. (NBD protocol, "Request types")</summary>
internal enum NbdCommand : ushort
{
    Read = 0,
    Write = 1,
    Disconnect = 2,
    Flush = 3,
    Trim = 4,
    WriteZeroes = 6,
    BlockStatus = 7,
}

/// <summary>(NBD protocol, "Command flags")</summary>
[Flags]
internal enum NbdCommandFlags : ushort
{
    None = 0,
    ForceUnitAccess = 1,
    NoHole = 2,
    DontFragment = 4,
    RequestOne = 8,
}

/// <summary>What an export can do. (NBD protocol, "Transmission flags")</summary>
[Flags]
internal enum NbdTransmissionFlags : ushort
{
    HasFlags = 1,
    ReadOnly = 2,
    SendFlush = 4,
    SendForceUnitAccess = 8,
    SendTrim = 32,
    SendWriteZeroes = 64,
    SendDontFragment = 128,
    CanMultiConn = 256,
}
