using System.Buffers.Binary;
using System.Globalization;

namespace Quench.SystemTests.Guests;

/// <summary>The records that the guest writes, by the rules at the head of scripts/guest/guest.pl, looked at from outside.</summary>
internal static class GuestRecords
{
    private const int Size = 4096;
    private const int Places = 1024;
    private const int Every = 8;
    private const int Kept = 64;

    /// <summary>Demands that a folder holds what follows from some record k, all of it.</summary>
    /// <returns>k.</returns>
    /// <exception cref="InvalidDataException">It does not; the message says what is wrong.</exception>
    internal static int Demand(string folder)
    {
        byte[] ring = File.ReadAllBytes(Path.Combine(folder, "ring"));
        int[] found = new int[Places];
        for (int place = 0; place < ring.Length / Size; place++)
        {
            ReadOnlySpan<byte> record = ring.AsSpan(place * Size, Size);
            found[place] = BinaryPrimitives.ReadInt32LittleEndian(record);
            if (found[place] == 0 ? record.ContainsAnyExcept((byte)0) : found[place] % Places != place || !IsRecord(record))
            {
                throw new InvalidDataException($"place {place} of the ring holds no record");
            }
        }

        int last = found.Max();
        for (int k = last; k > Math.Max(0, last - Places); k--)
        {
            if (found[k % Places] != k)
            {
                throw new InvalidDataException($"record {last} is in the ring and {k} is not");
            }
        }

        for (int k = last - (last % Every); k > Math.Max(0, last - (Every * (Kept - 1))); k -= Every)
        {
            byte[] file = File.ReadAllBytes(Path.Combine(folder, k.ToString(CultureInfo.InvariantCulture)));
            if (file.Length != Size || BinaryPrimitives.ReadInt32LittleEndian(file) != k || !IsRecord(file))
            {
                throw new InvalidDataException($"file {k} is not record {k}, and the last record is {last}");
            }
        }

        return last;
    }

    private static bool IsRecord(ReadOnlySpan<byte> record)
    {
        uint word = BinaryPrimitives.ReadUInt32LittleEndian(record);
        for (int at = 4; at < Size; at += 4)
        {
            word = unchecked((word * 1664525) + 1013904223);
            if (BinaryPrimitives.ReadUInt32LittleEndian(record[at..]) != word)
            {
                return false;
            }
        }

        return true;
    }
}
