namespace Quench.Exports.Nbd.Wire;

/// <summary>What is told about an export. (NBD protocol, NBD_REP_INFO)</summary>
internal enum NbdInfo : ushort
{
    Export = 0,
    Name = 1,
    Description = 2,
    BlockSize = 3,
}
