using System.Numerics;
using System.Runtime.InteropServices;

namespace Quench.Vault;

/// <summary>
/// CRC-32C of bytes that wait in memory: whether they are still what they were when they were last proved. It guards against faults, not
/// against anybody, and never leaves the process. (RFC 3720, section 12.1; the processor computes it)
/// </summary>
internal static class MemoryChecksum
{
    internal static uint Of(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (ulong word in MemoryMarshal.Cast<byte, ulong>(bytes))
        {
            crc = BitOperations.Crc32C(crc, word);
        }

        foreach (byte last in bytes[(bytes.Length & ~7)..])
        {
            crc = BitOperations.Crc32C(crc, last);
        }

        return ~crc;
    }
}
