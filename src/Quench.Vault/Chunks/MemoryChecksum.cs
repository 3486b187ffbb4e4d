using System.Numerics;
using System.Runtime.InteropServices;

namespace Quench.Vault;

/// <summary>
/// A checksum of bytes that wait in memory: whether they are still what they were when they were last proved. It guards against faults, not
/// against anybody, and never leaves the process. Four CRC-32C (RFC 3720, section 12.1; the processor computes it), one for each quarter, side by
/// side, because one alone waits for itself most of the time; a fifth runs over the four and the bytes that are left.
/// </summary>
internal static class MemoryChecksum
{
    internal static uint Of(ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<ulong> words = MemoryMarshal.Cast<byte, ulong>(bytes);
        int quarter = words.Length / 4;
        uint crc = Fold(words[..quarter], words.Slice(quarter, quarter), words.Slice(2 * quarter, quarter), words.Slice(3 * quarter, quarter));
        foreach (byte last in bytes[(4 * quarter * sizeof(ulong))..])
        {
            crc = BitOperations.Crc32C(crc, last);
        }

        return ~crc;
    }

    private static uint Fold(ReadOnlySpan<ulong> first, ReadOnlySpan<ulong> second, ReadOnlySpan<ulong> third, ReadOnlySpan<ulong> fourth)
    {
        uint one = uint.MaxValue;
        uint two = uint.MaxValue;
        uint three = uint.MaxValue;
        uint four = uint.MaxValue;
        for (int i = 0; i < first.Length && i < second.Length && i < third.Length && i < fourth.Length; i++)
        {
            one = BitOperations.Crc32C(one, first[i]);
            two = BitOperations.Crc32C(two, second[i]);
            three = BitOperations.Crc32C(three, third[i]);
            four = BitOperations.Crc32C(four, fourth[i]);
        }

        uint all = BitOperations.Crc32C(uint.MaxValue, ((ulong)one << 32) | two);
        return BitOperations.Crc32C(all, ((ulong)three << 32) | four);
    }
}
