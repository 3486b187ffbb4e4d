using System.Buffers.Binary;

namespace Quench.Exports.Nbd.Wire;

/// <summary>The data of NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT, big-endian. (NBD protocol, same names)</summary>
/// <remarks>
/// <code>
///   ├ length, u32 ┼ export ┼ count, u32 ┼ count × (length, u32 ┼ query) ┤
/// </code>
/// </remarks>
internal static class ContextQuery
{
    private const int MaxQueries = 256;

    /// <summary>Reads it.</summary>
    /// <returns>False when a length does not fit the data, a string is no UTF-8, or there are more queries than anybody needs.</returns>
    internal static bool TryRead(ReadOnlySpan<byte> wire, out string export, out List<string> queries)
    {
        queries = [];
        if (!WireText.TryTake(ref wire, out export) || wire.Length < 4)
        {
            return false;
        }

        uint count = BinaryPrimitives.ReadUInt32BigEndian(wire);
        wire = wire[4..];
        if (count > MaxQueries)
        {
            return false;
        }

        for (uint i = 0; i < count; i++)
        {
            if (!WireText.TryTake(ref wire, out string query))
            {
                return false;
            }

            queries.Add(query);
        }

        return wire.IsEmpty;
    }
}
