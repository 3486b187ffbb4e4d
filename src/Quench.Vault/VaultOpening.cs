using System.Globalization;
using System.Security.Cryptography;
using Quench.Vault.Format;
using Quench.Vault.Keys;
using Quench.Vault.Roots;
using Quench.Vault.Stores;

namespace Quench.Vault;

/// <summary>What opening a vault has found: its keys and settings. (§4)</summary>
internal sealed record VaultOpening(VaultKeys Keys, int ChunkSize, int PackTarget, string Version, DateTimeOffset Created, ulong WriterFeatures, ulong CollectorFeatures)
{
    /// <summary>The slot that opened it.</summary>
    internal required Guid Slot { get; init; }

    /// <summary>The object "format", which the config vouches for; not to be changed.</summary>
    internal required byte[] Format { get; init; }

    /// <summary>Features of a writer that this program knows: none yet.</summary>
    private const ulong KnownFeatures = 0;

    /// <summary>The parity of the vault's packs. (§6.5)</summary>
    internal ParitySettings Parity { get; init; }

    internal static Task<VaultOpening> OpenAsync(IObjectStore store, ReadOnlyMemory<byte> typed, CancellationToken cancellationToken) =>
        OpenAsync(store, SecretKind.Typed, typed, cancellationToken);

    /// <summary>Reads "format", opens a key slot, then config and ring: each from its copy where the primary does not check out. Writes nothing.</summary>
    internal static async Task<VaultOpening> OpenAsync(IObjectStore store, SecretKind kind, ReadOnlyMemory<byte> secret, CancellationToken cancellationToken)
    {
        byte[] format = await ReadFormatAsync(store, cancellationToken);
        (VaultKeys keys, Guid slot) = await new Unlocking(store, new FormatObject(format).VaultId).RunAsync(kind, secret, cancellationToken);
        try
        {
            byte[] config = await ReadNewestAsync(store, keys, EnvelopeKind.Config, ObjectNames.Configs, cancellationToken);
            byte[] ring = await ReadNewestAsync(store, keys, EnvelopeKind.Ring, ObjectNames.Rings, cancellationToken);
            LoadRing(store.Location, keys, ring);
            return Build(store.Location, keys, slot, format, config);
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
        RootReading<byte[]> intact = await RootCopies.TryReadEitherAsync(
            store, ObjectNames.Format, bytes => FormatObject.HasMagic(bytes) && FormatObject.IsIntact(bytes) ? bytes : null, cancellationToken);
        byte[]? format = intact.Value ?? await store.GetAsync(ObjectNames.Format, cancellationToken)
            ?? await store.GetAsync(RootCopies.CopyOf(ObjectNames.Format), cancellationToken);
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
        foreach (string found in await RootCopies.ListAsync(store, prefix, cancellationToken))
        {
            newest = ObjectNames.TryParseNumber(found, prefix, out long number) ? Math.Max(newest, number) : newest;
        }

        if (newest == 0)
        {
            throw VaultErrors.DamagedVault(store.Location, $"there is nothing under {prefix}");
        }

        string name = kind == EnvelopeKind.Config ? ObjectNames.Config(newest) : ObjectNames.Ring(newest);
        RootReading<byte[]> read = await RootCopies.TryReadEitherAsync(store, name, bytes => keys.TryOpenEnvelope(kind, name, bytes), cancellationToken);
        return read.Value ?? throw VaultErrors.DamagedVault(store.Location, $"the object {name} does not open, and neither does a copy of it");
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

    private static VaultOpening Build(string location, VaultKeys keys, Guid slot, byte[] format, byte[] body)
    {
        if (!ConfigBody.TryRead(body, out ConfigBody config))
        {
            throw VaultErrors.DamagedVault(location, "the config is malformed");
        }

        if (!config.FormatCopy.SequenceEqual(format))
        {
            throw VaultErrors.DamagedVault(location, "the object format is not the one that the config vouches for");
        }

        (int data, int parity, int shardSize) = config.Parity;
        ParitySettings settings = new(data, parity, shardSize);
        if (!settings.IsValid)
        {
            throw VaultErrors.DamagedVault(location, "the config asks for a parity that can't be");
        }

        FormatObject facts = new(format);
        string version = string.Create(CultureInfo.InvariantCulture, $"{facts.MajorVersion}.{facts.MinorVersion}");
        DateTimeOffset created = DateTimeOffset.FromUnixTimeMilliseconds(config.Created);
        return new VaultOpening(keys, config.ChunkSize, config.PackTarget, version, created, facts.WriterFeatures, facts.CollectorFeatures)
        {
            Slot = slot,
            Format = format,
            Parity = settings,
        };
    }
}
