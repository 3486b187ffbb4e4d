using System.Security.Cryptography;
using System.Text;
using Quench.Vault.Format;

namespace Quench.Vault.Keys;

/// <summary>Every key of an open vault, and what is done with them. Thread-safe. Disposing wipes them. (§3)</summary>
internal sealed class VaultKeys : IDisposable
{
    private const int NonceSize = 12;
    private const int TagSize = 16;
    private const int MaxPageLevel = 7;

    private readonly SecretArena _arena = new();
    private readonly Secret _master;
    private readonly Secret _config;
    private readonly Secret _ring;
    private readonly Secret _removed;
    private readonly Secret[] _chunkIds; // 0: data; 1 + l: map pages of level l
    private readonly Dictionary<uint, Secret> _epochs = []; // filled while the vault is opened, read-only afterwards

    private VaultKeys(Guid vaultId, ReadOnlySpan<byte> master)
    {
        VaultId = vaultId;
        _master = _arena.New();
        master.CopyTo(_master.Span);
        _config = FromMaster("quench/1/config"u8, []);
        _ring = FromMaster("quench/1/ring"u8, []);
        _removed = FromMaster("quench/1/removed"u8, []);
        _chunkIds = new Secret[2 + MaxPageLevel];
        for (int i = 0; i < _chunkIds.Length; i++)
        {
            byte type = i == 0 ? ChunkMeta.DataType : ChunkMeta.PageTypeOf(i - 1);
            _chunkIds[i] = FromMaster("quench/1/id"u8, [type]);
        }
    }

    internal Guid VaultId { get; }

    /// <summary>The epoch of new sessions; 0 until the ring has been read.</summary>
    internal uint CurrentEpoch { get; private set; }

    /// <summary>The master key, for wrapping it in a slot; valid until disposal.</summary>
    internal ReadOnlySpan<byte> Master => _master.Span;

    internal static VaultKeys From(Guid vaultId, ReadOnlySpan<byte> master) => new(vaultId, master);

    /// <summary>Whether a chunk's type is one that has ids.</summary>
    internal static bool IsKnownType(byte type) =>
        type == ChunkMeta.DataType || (type >= ChunkMeta.PageTypeOf(0) && type <= ChunkMeta.PageTypeOf(MaxPageLevel));

    /// <summary>GCM's decryption with "does not open" as an answer.</summary>
    internal static bool TryDecrypt(
        AesGcm cipher, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> ciphertext, ReadOnlySpan<byte> tag, Span<byte> plaintext, ReadOnlySpan<byte> associated)
    {
        try
        {
            cipher.Decrypt(nonce, ciphertext, tag, plaintext, associated);
            return true;
        }
        catch (AuthenticationTagMismatchException)
        {
            return false;
        }
    }

    /// <summary>Takes the epochs' keys from a ring body.</summary>
    internal void Load(RingBody ring)
    {
        for (int i = 0; i < ring.Count; i++)
        {
            Secret key = _arena.New();
            ring.Key(i).CopyTo(key.Span);
            _epochs.Add(ring.Epoch(i), key);
        }

        CurrentEpoch = ring.Current;
    }

    /// <summary>The id of a chunk of some type. Allocates nothing. (§5.1)</summary>
    internal ChunkId Identify(byte type, ReadOnlySpan<byte> plaintext)
    {
        Secret key = _chunkIds[type == ChunkMeta.DataType ? 0 : 1 + type - ChunkMeta.PageTypeOf(0)];
        Span<byte> id = stackalloc byte[ChunkId.Size];
        HMACSHA256.HashData(key.Span, plaintext, id);
        return ChunkId.From(id);
    }

    /// <summary>A new session's key, wrapped under the current epoch. (§3.5)</summary>
    internal SessionKey NewSession(Guid sessionId)
    {
        Secret secret = _arena.NewRandom();
        byte[] wrapped = new byte[PackFooter.WrappedKeySize];
        Span<byte> associated = stackalloc byte[36];
        WriteSessionAssociated(associated, CurrentEpoch, sessionId);
        RandomNumberGenerator.Fill(wrapped.AsSpan(0, NonceSize));
        using AesGcm cipher = WrapCipher(_epochs[CurrentEpoch]);
        cipher.Encrypt(
            wrapped.AsSpan(0, NonceSize), secret.Span, wrapped.AsSpan(NonceSize, Secret.Size), wrapped.AsSpan(NonceSize + Secret.Size), associated);
        return new SessionKey(VaultId, sessionId, CurrentEpoch, wrapped, secret);
    }

    /// <summary>Finds a session's key again.</summary>
    /// <returns>Null when it does not open: damaged, forged, or of an epoch that the ring does not have.</returns>
    internal SessionKey? TryUnwrap(uint epoch, Guid sessionId, ReadOnlySpan<byte> wrapped)
    {
        if (!_epochs.TryGetValue(epoch, out Secret? epochKey) || wrapped.Length != PackFooter.WrappedKeySize)
        {
            return null;
        }

        Span<byte> associated = stackalloc byte[36];
        WriteSessionAssociated(associated, epoch, sessionId);
        Span<byte> key = stackalloc byte[Secret.Size];
        using AesGcm cipher = WrapCipher(epochKey);
        if (!TryDecrypt(cipher, wrapped[..NonceSize], wrapped.Slice(NonceSize, Secret.Size), wrapped[^TagSize..], key, associated))
        {
            return null;
        }

        Secret secret = _arena.New();
        key.CopyTo(secret.Span);
        CryptographicOperations.ZeroMemory(key);
        return new SessionKey(VaultId, sessionId, epoch, wrapped.ToArray(), secret);
    }

    /// <summary>Puts a body into an envelope. (§7)</summary>
    internal byte[] SealEnvelope(EnvelopeKind kind, string name, ReadOnlySpan<byte> body)
    {
        uint epoch = MasterKind(kind) is null ? CurrentEpoch : 0;
        int plainSize = EnvelopeObject.PlainSize(body.Length);
        byte[] bytes = NewArray(kind, EnvelopeObject.HeaderSize + plainSize + TagSize);
        EnvelopeObject.WriteHeader(bytes, kind, epoch);
        Span<byte> plain = bytes.AsSpan(EnvelopeObject.HeaderSize, plainSize);
        EnvelopeObject.WritePlain(plain, body);

        Span<byte> key = stackalloc byte[Secret.Size];
        if (!TryDeriveEnvelopeKey(kind, epoch, key))
        {
            throw new InvalidOperationException("an envelope needs the key ring to be loaded first");
        }

        Span<byte> nonce = bytes.AsSpan(EnvelopeObject.NonceOffset, NonceSize);
        HedgedNonce(key, plain, nonce);
        using AesGcm cipher = new(key, TagSize);
        CryptographicOperations.ZeroMemory(key);
        cipher.Encrypt(nonce, plain, plain, bytes.AsSpan(bytes.Length - TagSize), EnvelopeAssociated(bytes, name));
        return bytes;
    }

    /// <summary>Opens an envelope.</summary>
    /// <returns>The body, which for a ring the caller wipes; null when it is damaged, forged, of another vault, or not the object of this name.</returns>
    internal byte[]? TryOpenEnvelope(EnvelopeKind kind, string name, ReadOnlySpan<byte> bytes)
    {
        if (!EnvelopeObject.TryRead(bytes, kind, out EnvelopeObject envelope))
        {
            return null;
        }

        Span<byte> key = stackalloc byte[Secret.Size];
        if (!TryDeriveEnvelopeKey(kind, envelope.Epoch, key))
        {
            return null;
        }

        byte[] plain = NewArray(kind, envelope.Ciphertext.Length);
        using AesGcm cipher = new(key, TagSize);
        CryptographicOperations.ZeroMemory(key);
        byte[]? body = null;
        if (TryDecrypt(cipher, envelope.Nonce, envelope.Ciphertext, envelope.Tag, plain, EnvelopeAssociated(bytes, name))
            && EnvelopeObject.TryReadBodyLength(plain, out int length))
        {
            body = NewArray(kind, length);
            plain.AsSpan(4, length).CopyTo(body);
        }

        if (kind == EnvelopeKind.Ring)
        {
            CryptographicOperations.ZeroMemory(plain);
        }

        return body;
    }

    /// <summary>Opens a large envelope where it lies, without a copy of it.</summary>
    /// <param name="kind">What it must be.</param>
    /// <param name="name">The object's name.</param>
    /// <param name="bytes">The envelope; its ciphertext is overwritten, also when it does not open.</param>
    /// <param name="body">The body, a part of the bytes.</param>
    /// <returns>False when it is damaged, forged, of another vault, or not the object of this name.</returns>
    internal bool TryOpenEnvelopeInPlace(EnvelopeKind kind, string name, byte[] bytes, out ReadOnlyMemory<byte> body)
    {
        body = default;
        Span<byte> key = stackalloc byte[Secret.Size];
        if (!EnvelopeObject.TryRead(bytes, kind, out EnvelopeObject envelope) || !TryDeriveEnvelopeKey(kind, envelope.Epoch, key))
        {
            return false;
        }

        Span<byte> plain = bytes.AsSpan(EnvelopeObject.HeaderSize..^TagSize);
        using AesGcm cipher = new(key, TagSize);
        CryptographicOperations.ZeroMemory(key);
        if (!TryDecrypt(cipher, envelope.Nonce, envelope.Ciphertext, envelope.Tag, plain, EnvelopeAssociated(bytes, name))
            || !EnvelopeObject.TryReadBodyLength(plain, out int length))
        {
            return false;
        }

        body = bytes.AsMemory(EnvelopeObject.HeaderSize + 4, length);
        return true;
    }

    /// <inheritdoc/>
    public void Dispose() => _arena.Dispose();

    private Secret FromMaster(ReadOnlySpan<byte> label, ReadOnlySpan<byte> rest)
    {
        Secret key = _arena.New();
        ExpandForVault(_master.Span, label, rest, key.Span);
        return key;
    }

    /// <summary>expand with a context that begins with the vault's id.</summary>
    private void ExpandForVault(ReadOnlySpan<byte> key, ReadOnlySpan<byte> label, ReadOnlySpan<byte> rest, Span<byte> destination)
    {
        Span<byte> context = stackalloc byte[16 + rest.Length];
        VaultId.TryWriteBytes(context, bigEndian: true, out _);
        rest.CopyTo(context[16..]);
        Derivation.Expand(key, label, context, destination);
    }

    private AesGcm WrapCipher(Secret epochKey)
    {
        Span<byte> key = stackalloc byte[Secret.Size];
        ExpandForVault(epochKey.Span, "quench/1/session"u8, [], key);
        AesGcm cipher = new(key, TagSize);
        CryptographicOperations.ZeroMemory(key);
        return cipher;
    }

    private void WriteSessionAssociated(Span<byte> associated, uint epoch, Guid sessionId)
    {
        VaultId.TryWriteBytes(associated, bigEndian: true, out _);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32LittleEndian(associated[16..], epoch);
        sessionId.TryWriteBytes(associated[20..], bigEndian: true, out _);
    }

    private bool TryDeriveEnvelopeKey(EnvelopeKind kind, uint epoch, Span<byte> key)
    {
        if (MasterKind(kind) is { } ofMaster)
        {
            ofMaster.Span.CopyTo(key);
            return epoch == 0;
        }

        if (!_epochs.TryGetValue(epoch, out Secret? epochKey))
        {
            return false;
        }

        ExpandForVault(epochKey.Span, "quench/1/meta"u8, [(byte)kind], key);
        return true;
    }

    /// <summary>The key of a kind that comes from the master key; null for those that come from an epoch's.</summary>
    private Secret? MasterKind(EnvelopeKind kind) => kind switch
    {
        EnvelopeKind.Config => _config,
        EnvelopeKind.Ring => _ring,
        EnvelopeKind.RemovedSlot => _removed,
        _ => null,
    };

    /// <summary>Memory for a plaintext. A ring's holds keys: it lies where the collector leaves no copies behind, and is wiped by its user.</summary>
    private static byte[] NewArray(EnvelopeKind kind, int length) =>
        kind == EnvelopeKind.Ring ? GC.AllocateArray<byte>(length, pinned: true) : new byte[length];

    private static void HedgedNonce(ReadOnlySpan<byte> key, ReadOnlySpan<byte> plain, Span<byte> nonce)
    {
        Span<byte> random = stackalloc byte[NonceSize];
        RandomNumberGenerator.Fill(random);
        Span<byte> mac = stackalloc byte[32];
        using IncrementalHash hash = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, key);
        hash.AppendData(random);
        hash.AppendData(plain);
        hash.GetHashAndReset(mac);
        mac[..NonceSize].CopyTo(nonce);
    }

    private byte[] EnvelopeAssociated(ReadOnlySpan<byte> bytes, string name)
    {
        byte[] associated = new byte[EnvelopeObject.HeaderSize + 16 + name.Length];
        bytes[..EnvelopeObject.HeaderSize].CopyTo(associated);
        VaultId.TryWriteBytes(associated.AsSpan(EnvelopeObject.HeaderSize), bigEndian: true, out _);
        Encoding.ASCII.GetBytes(name, associated.AsSpan(EnvelopeObject.HeaderSize + 16));
        return associated;
    }
}
