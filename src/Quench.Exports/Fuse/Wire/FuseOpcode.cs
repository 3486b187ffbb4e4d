namespace Quench.Exports.Fuse.Wire;

/// <summary>What the kernel asks for. (linux/fuse.h, enum fuse_opcode)</summary>
internal enum FuseOpcode
{
    Lookup = 1,
    Forget = 2,
    GetAttributes = 3,
    SetAttributes = 4,
    Open = 14,
    Read = 15,
    Write = 16,
    StatFs = 17,
    Release = 18,
    Sync = 20,
    Flush = 25,
    Init = 26,
    OpenDirectory = 27,
    ReadDirectory = 28,
    ReleaseDirectory = 29,
    Access = 34,
    Interrupt = 36,
    Destroy = 38,
    BatchForget = 42,
    Allocate = 43,
}
