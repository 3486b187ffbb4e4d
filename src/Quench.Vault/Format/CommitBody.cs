using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.Vault.Format;

/// <summary>What became of a session. (§10.2)</summary>
internal enum Verdict : byte
{
    Committed = 1,
    Revoked = 2,
}

// The body of a commit key. (§10.2)
//
//   0         1          8      16         32                64           72
//   ├ verdict ┼ reserved ┼ when ┼ point id ┼ SHA-256 ────────┼ generation ┤
internal readonly ref struct CommitBody(ReadOnlySpan<byte> bytes)
{
    internal const int Size = 72;
    private readonly ReadOnlySpan<byte> _bytes = bytes[..Size];

    internal Verdict Verdict => (Verdict)_bytes[0];

    internal long When => ReadInt64LittleEndian(_bytes[8..]);

    internal Guid PointId => new(_bytes.Slice(16, 16), bigEndian: true);

    internal ReadOnlySpan<byte> PointHash => _bytes.Slice(32, 32);

    internal long Generation => ReadInt64LittleEndian(_bytes[64..]);

    internal static bool TryRead(ReadOnlySpan<byte> bytes, out CommitBody body)
    {
        body = default;
        if (bytes.Length != Size)
        {
            return false;
        }

        body = new CommitBody(bytes);
        return body.Verdict is Verdict.Committed or Verdict.Revoked && !bytes[1..8].ContainsAnyExcept((byte)0);
    }

    internal static byte[] Write(Verdict verdict, long when, Guid pointId, ReadOnlySpan<byte> pointHash, long generation)
    {
        byte[] bytes = new byte[Size];
        bytes[0] = (byte)verdict;
        WriteInt64LittleEndian(bytes.AsSpan(8), when);
        pointId.TryWriteBytes(bytes.AsSpan(16), bigEndian: true, out _);
        pointHash.CopyTo(bytes.AsSpan(32, 32));
        WriteInt64LittleEndian(bytes.AsSpan(64), generation);
        return bytes;
    }
}
