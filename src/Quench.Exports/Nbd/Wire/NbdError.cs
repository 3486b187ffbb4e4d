namespace Quench.Exports.Nbd.Wire;

/// <summary>Why a request failed. (NBD protocol, "Error values")</summary>
internal enum NbdError : uint
{
    None = 0,
    NotPermitted = 1,
    InputOutput = 5,
    Invalid = 22,
    NoSpace = 28,
    Overflow = 75,
    Shutdown = 108,
}
