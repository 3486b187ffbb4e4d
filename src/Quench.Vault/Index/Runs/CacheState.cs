using System.Security.Cryptography;
using Quench.Vault.Format;
using Quench.Vault.Keys;
using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.Vault.Index.Runs;

/// <summary>A session whose packs the cache knows: its key as the vault stores it, wrapped.</summary>
internal readonly record struct CachedSession(Guid Id, uint Epoch, byte[] WrappedKey);

/// <summary>A pack that the cache knows.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Length">Bytes it should have.</param>
/// <param name="Session">Its session's place in the list of sessions.</param>
/// <param name="WasReliedOn">It was present and not condemned.</param>
/// <param name="IsNamed">A sound index object names it.</param>
/// <param name="IsComplete">All its chunks are in the runs.</param>
internal readonly record struct CachedPack(Guid Id, long Length, int Session, bool WasReliedOn, bool IsNamed, bool IsComplete);

// What the runs of a cache mean: which generation, packs and index objects they stand for. One sealed file, replaced by one with the next number.
//
//   0       8        16        32
//   ├ magic ┼ number ┼ file id ┼ body, encrypted ─┬ tag ┤
//
//   count: the numbers that the runs' records have, from 0
//   body:  0            8       12         16      20     24        28         32
//          ├ generation ┼ count ┼ sessions ┼ packs ┼ runs ┼ objects ┼ reserved ┼ … ┤
//   each session, 80:  0 16 id  16 u32 epoch  20 60 wrapped key
//   each pack, 32:     0 16 id  16 i64 length  24 u32 session  28 u32 flags: 1 was relied on, 2 is named, 4 is complete
//   each run, 24:      0 16 id  16 u32 records  20 u32 words of its filter       (newest first)
//   each object, 16:   the id of an index object all of whose entries are in the runs
internal sealed record CacheState(
    long Generation, int Count, CachedSession[] Sessions, CachedPack[] Packs, RunShape[] Runs, Guid[] Objects)
{
    private const int FileHead = 32;
    private const int BodyHead = 32;
    private const int SessionSize = 80;
    private const int PackSize = 32;
    private const int RunSize = 24;
    private const int ObjectSize = 16;
    private const int TagSize = 16;
    private const uint ReliedOn = 1;
    private const uint Named = 2;
    private const uint Complete = 4;

    private static ReadOnlySpan<byte> Magic => "QNCHIDX1"u8;

    private static ReadOnlySpan<byte> Nonce => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]; // the file's key seals this one message

    /// <summary>The file that holds it.</summary>
    internal byte[] Seal(VaultKeys keys, long number)
    {
        byte[] file = new byte[FileHead + BodySize() + TagSize];
        Guid id = BackupSession.NewId();
        Magic.CopyTo(file);
        WriteInt64LittleEndian(file.AsSpan(8), number);
        id.TryWriteBytes(file.AsSpan(16), bigEndian: true, out _);
        Span<byte> body = file.AsSpan(FileHead..^TagSize);
        WriteBody(body);
        using AesGcm cipher = CacheKeys.NewCipher(keys, id);
        cipher.Encrypt(Nonce, body, body, file.AsSpan(file.Length - TagSize), file.AsSpan(0, FileHead));
        return file;
    }

    /// <summary>Opens the file with a number.</summary>
    /// <returns>Null when it is damaged, another vault's, or another number's.</returns>
    internal static CacheState? TryOpen(VaultKeys keys, long number, ReadOnlySpan<byte> file)
    {
        if (file.Length < FileHead + BodyHead + TagSize || !file.StartsWith(Magic) || ReadInt64LittleEndian(file[8..]) != number)
        {
            return null;
        }

        byte[] body = new byte[file.Length - FileHead - TagSize];
        using AesGcm cipher = CacheKeys.NewCipher(keys, new Guid(file.Slice(16, 16), bigEndian: true));
        return VaultKeys.TryDecrypt(cipher, Nonce, file[FileHead..^TagSize], file[^TagSize..], body, file[..FileHead]) ? TryReadBody(body) : null;
    }

    private int BodySize() =>
        BodyHead + (Sessions.Length * SessionSize) + (Packs.Length * PackSize) + (Runs.Length * RunSize) + (Objects.Length * ObjectSize);

    private void WriteBody(Span<byte> body)
    {
        WriteInt64LittleEndian(body, Generation);
        WriteInt32LittleEndian(body[8..], Count);
        WriteInt32LittleEndian(body[12..], Sessions.Length);
        WriteInt32LittleEndian(body[16..], Packs.Length);
        WriteInt32LittleEndian(body[20..], Runs.Length);
        WriteInt32LittleEndian(body[24..], Objects.Length);
        Span<byte> rest = body[BodyHead..];
        foreach (CachedSession session in Sessions)
        {
            session.Id.TryWriteBytes(rest, bigEndian: true, out _);
            WriteUInt32LittleEndian(rest[16..], session.Epoch);
            session.WrappedKey.CopyTo(rest[20..]);
            rest = rest[SessionSize..];
        }

        foreach (CachedPack pack in Packs)
        {
            pack.Id.TryWriteBytes(rest, bigEndian: true, out _);
            WriteInt64LittleEndian(rest[16..], pack.Length);
            WriteInt32LittleEndian(rest[24..], pack.Session);
            WriteUInt32LittleEndian(rest[28..], (pack.WasReliedOn ? ReliedOn : 0) | (pack.IsNamed ? Named : 0) | (pack.IsComplete ? Complete : 0));
            rest = rest[PackSize..];
        }

        foreach (RunShape run in Runs)
        {
            run.Id.TryWriteBytes(rest, bigEndian: true, out _);
            WriteInt32LittleEndian(rest[16..], run.Count);
            WriteInt32LittleEndian(rest[20..], run.FilterWords);
            rest = rest[RunSize..];
        }

        foreach (Guid id in Objects)
        {
            id.TryWriteBytes(rest, bigEndian: true, out _);
            rest = rest[ObjectSize..];
        }
    }

    /// <summary>Reads a body that has been authenticated: one of our own, so a contradiction in it is a mistake of another version of this program.</summary>
    private static CacheState? TryReadBody(ReadOnlySpan<byte> body)
    {
        int[] counts = new int[4];
        for (int i = 0; i < counts.Length; i++)
        {
            counts[i] = ReadInt32LittleEndian(body[(12 + (4 * i))..]);
        }

        CacheState state = new(
            ReadInt64LittleEndian(body), ReadInt32LittleEndian(body[8..]), NewArray<CachedSession>(counts[0], body), NewArray<CachedPack>(counts[1], body),
            NewArray<RunShape>(counts[2], body), NewArray<Guid>(counts[3], body));
        if (counts.Any(count => count < 0) || state.Count < 0 || state.BodySize() != body.Length)
        {
            return null;
        }

        state.Fill(body[BodyHead..]);
        return state.Runs.All(run => run.IsSound) && state.Packs.All(pack => (uint)pack.Session < (uint)state.Sessions.Length) ? state : null;
    }

    /// <summary>An array that can't be longer than the bytes it is read from.</summary>
    private static T[] NewArray<T>(int count, ReadOnlySpan<byte> body) => new T[Math.Clamp(count, 0, body.Length / ObjectSize)];

    private void Fill(ReadOnlySpan<byte> rest)
    {
        for (int i = 0; i < Sessions.Length; i++, rest = rest[SessionSize..])
        {
            Sessions[i] = new CachedSession(IdAt(rest), ReadUInt32LittleEndian(rest[16..]), rest.Slice(20, PackFooter.WrappedKeySize).ToArray());
        }

        for (int i = 0; i < Packs.Length; i++, rest = rest[PackSize..])
        {
            uint flags = ReadUInt32LittleEndian(rest[28..]);
            Packs[i] = new CachedPack(
                IdAt(rest), ReadInt64LittleEndian(rest[16..]), ReadInt32LittleEndian(rest[24..]),
                (flags & ReliedOn) != 0, (flags & Named) != 0, (flags & Complete) != 0);
        }

        for (int i = 0; i < Runs.Length; i++, rest = rest[RunSize..])
        {
            Runs[i] = new RunShape(IdAt(rest), ReadInt32LittleEndian(rest[16..]), ReadInt32LittleEndian(rest[20..]));
        }

        for (int i = 0; i < Objects.Length; i++, rest = rest[ObjectSize..])
        {
            Objects[i] = IdAt(rest);
        }
    }

    private static Guid IdAt(ReadOnlySpan<byte> bytes) => new(bytes[..16], bigEndian: true);
}
