using System.Numerics;
using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.Vault.Format;

// The body of a config object. (§4.3)
//
//   0                       96           100           104       112        120          122            124          128
//   ├ copy of "format" ─────┼ chunk size ┼ pack target ┼ created ┼ number ──┼ parity's k ┼ parity's m ┼ shard size ┤
//
// A body may end at 120: then there is no parity.
internal readonly ref struct ConfigBody(ReadOnlySpan<byte> bytes)
{
    internal const int Size = 120;
    internal const int DefaultPackTarget = 16 * 1024 * 1024;
    private const int MinChunk = 16 * 1024;
    private const int MaxChunk = 4 * 1024 * 1024;
    private const int MaxPackTarget = 1 << 30;
    private const int SizeWithParity = 128;
    private readonly ReadOnlySpan<byte> _bytes = bytes.Length < SizeWithParity ? bytes[..Size] : bytes[..SizeWithParity];

    internal ReadOnlySpan<byte> FormatCopy => _bytes[..FormatObject.Size];

    internal int ChunkSize => ReadInt32LittleEndian(_bytes[96..]);

    internal int PackTarget => ReadInt32LittleEndian(_bytes[100..]);

    internal long Created => ReadInt64LittleEndian(_bytes[104..]);

    internal long Number => ReadInt64LittleEndian(_bytes[112..]);

    /// <summary>Data and parity shards of a stripe and bytes of a shard; zeros for no parity. (§6.5)</summary>
    internal (int Data, int Parity, int ShardSize) Parity => _bytes.Length == Size
        ? (0, 0, 0)
        : (ReadUInt16LittleEndian(_bytes[120..]), ReadUInt16LittleEndian(_bytes[122..]), ReadInt32LittleEndian(_bytes[124..]));

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

    internal static byte[] Write(ReadOnlySpan<byte> format, int chunkSize, int packTarget, long created, long number) =>
        Write(format, chunkSize, packTarget, created, number, (0, 0, 0));

    internal static byte[] Write(
        ReadOnlySpan<byte> format, int chunkSize, int packTarget, long created, long number, (int Data, int Parity, int ShardSize) parity)
    {
        byte[] bytes = new byte[parity == default ? Size : SizeWithParity];
        if (parity != default)
        {
            WriteUInt16LittleEndian(bytes.AsSpan(120), (ushort)parity.Data);
            WriteUInt16LittleEndian(bytes.AsSpan(122), (ushort)parity.Parity);
            WriteInt32LittleEndian(bytes.AsSpan(124), parity.ShardSize);
        }

        format[..FormatObject.Size].CopyTo(bytes);
        WriteInt32LittleEndian(bytes.AsSpan(96), chunkSize);
        WriteInt32LittleEndian(bytes.AsSpan(100), packTarget);
        WriteInt64LittleEndian(bytes.AsSpan(104), created);
        WriteInt64LittleEndian(bytes.AsSpan(112), number);
        return bytes;
    }
}
