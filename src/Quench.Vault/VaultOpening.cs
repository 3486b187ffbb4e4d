using System.Globalization;
using System.Security.Cryptography;
using Quench.Blocks;
using Quench.Vault.Format;
using Quench.Vault.Keys;
using Quench.Vault.Stores;

namespace Quench.Vault;

/// <summary>What opening a vault has found: its keys and settings. (§4)</summary>
internal sealed record VaultOpening(VaultKeys Keys, int ChunkSize, int PackTarget, string Version, DateTimeOffset Created, ulong WriterFeatures, ulong CollectorFeatures)
{
    /// <summary>Features of a writer that this program knows: none yet.</summary>
    private const ulong KnownFeatures = 0;

    /// <summary>Reads "format", opens a key slot, then config and ring. Writes nothing.</summary>
    internal static async Task<VaultOpening> OpenAsync(IObjectStore store, ReadOnlyMemory<byte> secret, CancellationToken cancellationToken)
    {
        byte[] format = await ReadFormatAsync(store, cancellationToken);
        VaultKeys keys = await new Unlocking(store, new FormatObject(format).VaultId).RunAsync(secret, cancellationToken);
        try
        {
            byte[] config = await ReadNewestAsync(store, keys, EnvelopeKind.Config, ObjectNames.Configs, cancellationToken);
            byte[] ring = await ReadNewestAsync(store, keys, EnvelopeKind.Ring, ObjectNames.Rings, cancellationToken);
            LoadRing(store.Location, keys, ring);
            return Build(store.Location, keys, format, config);
        }
        catch
        {
            keys.Dispose();
            throw;
        }
    }

    /// <summary>Refuses to write what this program does not understand. (§4.2)</summary>
    internal void CheckWritable(string location)
    {
        if ((WriterFeatures & ~KnownFeatures) != 0)
        {
            throw VaultErrors.UnknownFeatures(location, WriterFeatures & ~KnownFeatures, "writing");
        }
    }

    /// <summary>Refuses to delete what this program does not understand. (§4.2)</summary>
    internal void CheckCollectable(string location)
    {
        CheckWritable(location);
        if ((CollectorFeatures & ~KnownFeatures) != 0)
        {
            throw VaultErrors.UnknownFeatures(location, CollectorFeatures & ~KnownFeatures, "collecting");
        }
    }

    private static async Task<byte[]> ReadFormatAsync(IObjectStore store, CancellationToken cancellationToken)
    {
        byte[]? format = await store.GetAsync(ObjectNames.Format, cancellationToken);
        if (format is null || !FormatObject.HasMagic(format))
        {
            throw VaultErrors.NotAVault(store.Location);
        }

        if (FormatObject.PeekMajor(format) > FormatObject.Major)
        {
            throw VaultErrors.NewerVersion(store.Location, FormatObject.PeekMajor(format), FormatObject.Major);
        }

        if (!FormatObject.IsIntact(format))
        {
            throw VaultErrors.DamagedVault(store.Location, "the object format does not match its own hash");
        }

        CheckReadable(store.Location, new FormatObject(format));
        return format;
    }

    private static void CheckReadable(string location, FormatObject format)
    {
        if (format.CipherSuite != FormatObject.Suite || format.MajorVersion != FormatObject.Major)
        {
            throw VaultErrors.UnknownFeatures(location, format.CipherSuite, "opening");
        }

        if ((format.ReaderFeatures & ~KnownFeatures) != 0)
        {
            throw VaultErrors.UnknownFeatures(location, format.ReaderFeatures & ~KnownFeatures, "opening");
        }
    }

    /// <summary>Reads the object with the highest number under a prefix.</summary>
    private static async Task<byte[]> ReadNewestAsync(
        IObjectStore store, VaultKeys keys, EnvelopeKind kind, string prefix, CancellationToken cancellationToken)
    {
        long newest = 0;
        await foreach (StoredObject found in store.ListAsync(prefix, cancellationToken))
        {
            newest = ObjectNames.TryParseNumber(found.Name, prefix, out long number) ? Math.Max(newest, number) : newest;
        }

        string name = kind == EnvelopeKind.Config ? ObjectNames.Config(newest) : ObjectNames.Ring(newest);
        byte[]? bytes = newest == 0 ? null : await store.GetAsync(name, cancellationToken);
        return bytes is null
            ? throw VaultErrors.DamagedVault(store.Location, $"there is nothing under {prefix}")
            : keys.TryOpenEnvelope(kind, name, bytes) ?? throw VaultErrors.DamagedVault(store.Location, $"the object {name} does not open");
    }

    private static void LoadRing(string location, VaultKeys keys, byte[] body)
    {
        if (!RingBody.TryRead(body, out RingBody ring))
        {
            throw VaultErrors.DamagedVault(location, "the key ring is malformed");
        }

        keys.Load(ring);
        CryptographicOperations.ZeroMemory(body);
    }

    private static VaultOpening Build(string location, VaultKeys keys, byte[] format, byte[] body)
    {
        if (!ConfigBody.TryRead(body, out ConfigBody config))
        {
            throw VaultErrors.DamagedVault(location, "the config is malformed");
        }

        if (!config.FormatCopy.SequenceEqual(format))
        {
            throw VaultErrors.DamagedVault(location, "the object format is not the one that the config vouches for");
        }

        FormatObject facts = new(format);
        string version = string.Create(CultureInfo.InvariantCulture, $"{facts.MajorVersion}.{facts.MinorVersion}");
        DateTimeOffset created = DateTimeOffset.FromUnixTimeMilliseconds(config.Created);
        return new VaultOpening(keys, config.ChunkSize, config.PackTarget, version, created, facts.WriterFeatures, facts.CollectorFeatures);
    }
}

/// <summary>Finds a key slot that a secret opens. (§3.2)</summary>
internal sealed class Unlocking(IObjectStore store, Guid vaultId)
{
    private int _slots;
    private int _damaged;
    private long _tooCostly; // MiB that the most modest of the slots that were refused asks for

    /// <summary>Tries a secret: as a recovery code where it is one, as a password otherwise.</summary>
    /// <returns>The vault's keys, the caller's.</returns>
    internal async Task<VaultKeys> RunAsync(ReadOnlyMemory<byte> secret, CancellationToken cancellationToken)
    {
        List<byte[]> slots = await ReadSlotsAsync(cancellationToken);
        byte[] master = GC.AllocateArray<byte>(Secret.Size, pinned: true);
        try
        {
            foreach (byte[] slot in slots)
            {
                if (await Task.Run(() => TryOpen(slot, secret.Span, master), cancellationToken))
                {
                    return VaultKeys.From(vaultId, master);
                }
            }
        }
        finally
        {
            CryptographicOperations.ZeroMemory(master);
        }

        throw Failure();
    }

    private QuenchException Failure()
    {
        if (_slots == 0 || _damaged == _slots)
        {
            return VaultErrors.DamagedVault(store.Location, _slots == 0 ? "it has no key slots" : "all its key slots are damaged");
        }

        return _tooCostly > 0 ? VaultErrors.SlotTooCostly(store.Location, _tooCostly) : VaultErrors.WrongPassword(store.Location, _damaged);
    }

    /// <summary>Reads the sound slots, the cheap ones first.</summary>
    private async Task<List<byte[]>> ReadSlotsAsync(CancellationToken cancellationToken)
    {
        List<byte[]> slots = [];
        await foreach (StoredObject found in store.ListAsync(ObjectNames.Slots, cancellationToken))
        {
            _slots++;
            byte[]? bytes = await store.GetAsync(found.Name, cancellationToken);
            if (bytes is not null && IsSound(found.Name, bytes))
            {
                slots.Add(bytes);
            }
            else
            {
                _damaged++;
            }
        }

        slots.Sort((a, b) => new KeySlotObject(a).MemoryKibibytes.CompareTo(new KeySlotObject(b).MemoryKibibytes));
        return slots;
    }

    /// <summary>Whether a slot is undamaged, this vault's, and the one that its name says.</summary>
    private bool IsSound(string name, byte[] bytes) => IsSound(vaultId, name, bytes);

    internal static bool IsSound(Guid vaultId, string name, ReadOnlySpan<byte> bytes) =>
        KeySlotObject.TryRead(bytes, out KeySlotObject slot) && slot.VaultId == vaultId && ObjectNames.Slot(slot.SlotId) == name;

    private bool TryOpen(byte[] bytes, ReadOnlySpan<byte> secret, Span<byte> master)
    {
        KeySlotObject slot = new(bytes);
        if (slot.Type == SlotType.Password && slot.Kdf == KeySlotObject.Argon2idKdf)
        {
            return IsAffordable(slot) && KeySlot.TryOpen(slot, secret, master);
        }

        Span<byte> code = stackalloc byte[RecoveryCode.SecretSize];
        bool opened = slot.Type == SlotType.RecoveryCode && slot.Kdf == KeySlotObject.HkdfKdf
            && RecoveryCode.TryRead(secret, code) && KeySlot.TryOpen(slot, code, master);
        CryptographicOperations.ZeroMemory(code);
        return opened;
    }

    private bool IsAffordable(KeySlotObject slot)
    {
        if (!KeySlot.IsTooCostly(slot))
        {
            return true;
        }

        long mebibytes = Math.Max(1, slot.MemoryKibibytes / 1024);
        _tooCostly = _tooCostly == 0 ? mebibytes : Math.Min(_tooCostly, mebibytes);
        return false;
    }
}
