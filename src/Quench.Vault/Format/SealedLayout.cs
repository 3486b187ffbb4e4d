using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.Vault.Format;

// A sealed chunk. (§5.2)
//
//   0       12           12+n  28+n
//   ├ nonce ┼ ciphertext ┼ tag ┤
//
// Associated data:
//
//   0          16      18      22           38         70     74
//   ├ vault id ┼ major ┼ epoch ┼ session id ┼ chunk id ┼ meta ┤
internal static class SealedLayout
{
    internal const int NonceSize = 12;
    internal const int TagSize = 16;
    internal const int Overhead = NonceSize + TagSize;
    internal const int AssociatedSize = 74;

    internal static void WriteAssociated(Span<byte> data, Guid vaultId, uint epoch, Guid sessionId, ReadOnlySpan<byte> chunkId, uint meta)
    {
        vaultId.TryWriteBytes(data, bigEndian: true, out _);
        WriteUInt16LittleEndian(data[16..], FormatObject.Major);
        WriteUInt32LittleEndian(data[18..], epoch);
        sessionId.TryWriteBytes(data[22..], bigEndian: true, out _);
        chunkId[..32].CopyTo(data[38..]);
        WriteUInt32LittleEndian(data[70..], meta);
    }
}
