namespace Quench.FileSystems.PartitionTables;

/// <summary>The CRC-32 of GUID partition tables: polynomial 0x04C11DB7, reflected, inverted at both ends. (UEFI 2.10, §5.3.2)</summary>
internal static class Crc32
{
    private static readonly uint[] s_table = MakeTable();

    /// <summary>The checksum of some bytes.</summary>
    public static uint Of(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte one in bytes)
        {
            crc = s_table[(crc ^ one) & 0xFF] ^ (crc >> 8);
        }

        return ~crc;
    }

    private static uint[] MakeTable()
    {
        uint[] table = new uint[256];
        for (uint index = 0; index < table.Length; index++)
        {
            uint crc = index;
            for (int bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) == 0 ? crc >> 1 : (crc >> 1) ^ 0xEDB88320;
            }

            table[index] = crc;
        }

        return table;
    }
}
