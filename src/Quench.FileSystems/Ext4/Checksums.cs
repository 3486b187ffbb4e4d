using System.Buffers.Binary;
using System.Numerics;

namespace Quench.FileSystems.Ext4;

/// <summary>The checksums that only this format has, all without a final inversion: what one call returns is the next one's start.</summary>
internal static class Checksums
{
    private static readonly ushort[] s_crc16 = MakeTable();

    /// <summary>CRC-32C over a number as it lies on disk in ext4.</summary>
    public static uint Crc32cLittleEndian(uint crc, uint value) => BitOperations.Crc32C(crc, value);

    /// <summary>CRC-32C over a number as it lies on disk in the journal.</summary>
    public static uint Crc32cBigEndian(uint crc, uint value) => BitOperations.Crc32C(crc, BinaryPrimitives.ReverseEndianness(value));

    /// <summary>CRC-16 (polynomial 0x8005, reflected), over group descriptors under gdt_csum.</summary>
    public static ushort Crc16(ushort crc, ReadOnlySpan<byte> bytes)
    {
        foreach (byte one in bytes)
        {
            crc = (ushort)((crc >> 8) ^ s_crc16[(crc ^ one) & 0xFF]);
        }

        return crc;
    }

    /// <summary>CRC-16 over a number as it lies on disk in ext4.</summary>
    public static ushort Crc16LittleEndian(ushort crc, uint value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        return Crc16(crc, bytes);
    }

    private static ushort[] MakeTable()
    {
        ushort[] table = new ushort[256];
        for (int index = 0; index < table.Length; index++)
        {
            int crc = index;
            for (int bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) != 0 ? (crc >> 1) ^ 0xA001 : crc >> 1;
            }

            table[index] = (ushort)crc;
        }

        return table;
    }
}
