using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.SystemTests.Stamps;

/// <summary>Stamps that say where they belong by themselves: the number is block × 2²⁰ + a version. For writers that keep no order.</summary>
internal static class InPlace
{
    private const int VersionBits = 20;

    internal static void Encode(StampField field, Span<byte> into, int block, int version) =>
        field.Encode(into, ((block + 1L) << VersionBits) | (uint)version);

    /// <summary>Demands that every block of a file is a hole, or whole and where it belongs.</summary>
    internal static void DemandWhole(StampField field, string path, string what)
    {
        using SafeFileHandle file = NativeFile.Open(path, OpenMode.ReadOnly);
        List<string> wrong = [];
        byte[] block = new byte[StampField.BlockSize];
        for (int index = 0; index < field.Blocks; index++)
        {
            NativeFile.ReadExactly(file, block, (long)index * block.Length);
            string? trouble = field.Decode(block, out long number);
            if (trouble is not null)
            {
                wrong.Add($"  block {index} {trouble}");
            }
            else if (number != 0 && (number >> VersionBits) - 1 != index)
            {
                wrong.Add($"  block {index}: wrong place: it belongs in block {(number >> VersionBits) - 1}");
            }
        }

        new StampVerdict(0, wrong).Demand(0, long.MaxValue, what);
    }
}
