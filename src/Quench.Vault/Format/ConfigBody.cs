using System.Numerics;
using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.Vault.Format;

// The body of a config object. (§4.3)
//
//   0                       96           100           104       112        120
//   ├ copy of "format" ─────┼ chunk size ┼ pack target ┼ created ┼ number ──┤
internal readonly ref struct ConfigBody(ReadOnlySpan<byte> bytes)
{
    internal const int Size = 120;
    internal const int DefaultPackTarget = 16 * 1024 * 1024;
    private const int MinChunk = 16 * 1024;
    private const int MaxChunk = 4 * 1024 * 1024;
    private const int MaxPackTarget = 1 << 30;
    private readonly ReadOnlySpan<byte> _bytes = bytes[..Size];

    internal ReadOnlySpan<byte> FormatCopy => _bytes[..FormatObject.Size];

    internal int ChunkSize => ReadInt32LittleEndian(_bytes[96..]);

    internal int PackTarget => ReadInt32LittleEndian(_bytes[100..]);

    internal long Created => ReadInt64LittleEndian(_bytes[104..]);

    internal long Number => ReadInt64LittleEndian(_bytes[112..]);

    internal static bool TryRead(ReadOnlySpan<byte> bytes, out ConfigBody body)
    {
        body = default;
        if (bytes.Length < Size)
        {
            return false;
        }

        body = new ConfigBody(bytes);
        return IsChunkSize(body.ChunkSize) && body.PackTarget >= body.ChunkSize * 2L && body.PackTarget <= MaxPackTarget && body.Number > 0;
    }

    internal static bool IsChunkSize(int size) => size is >= MinChunk and <= MaxChunk && BitOperations.IsPow2(size);

    internal static byte[] Write(ReadOnlySpan<byte> format, int chunkSize, int packTarget, long created, long number)
    {
        byte[] bytes = new byte[Size];
        format[..FormatObject.Size].CopyTo(bytes);
        WriteInt32LittleEndian(bytes.AsSpan(96), chunkSize);
        WriteInt32LittleEndian(bytes.AsSpan(100), packTarget);
        WriteInt64LittleEndian(bytes.AsSpan(104), created);
        WriteInt64LittleEndian(bytes.AsSpan(112), number);
        return bytes;
    }
}
