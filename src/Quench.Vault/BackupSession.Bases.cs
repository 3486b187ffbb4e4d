using System.Diagnostics.CodeAnalysis;
using Quench.Blocks;
using Quench.Vault.Points;

namespace Quench.Vault;

/// <content>Images upon the images of earlier points. (§10.5)</content>
public sealed partial class BackupSession
{
    private readonly SessionBeginning _begun;
    private readonly Lock _imagesGate = new(); // guards the list below
    private readonly List<ImageWriter> _images = []; // what the session waits for when it ends
    private readonly CancellationTokenSource _giveUpImages = new();

    /// <summary>Finds the image of an earlier point to build upon.</summary>
    /// <param name="point">The point.</param>
    /// <param name="volume">The volume's name in it.</param>
    /// <param name="found">The base, to be used with this session only.</param>
    /// <param name="why">Why there is none, as the end of a sentence.</param>
    /// <returns>False: everything must be read.</returns>
    public bool TryFindBase(Guid point, string volume, [NotNullWhen(true)] out BaseImage? found, [NotNullWhen(false)] out string? why)
    {
        found = null;
        RecoveryPoint? seen = _begun.Points.Points.FirstOrDefault(one => one.Id == point);
        VolumeRecord? record = seen?.Volumes.FirstOrDefault(one => one.Name == volume);
        why = seen switch
        {
            null => $"the vault does not hold point {point:N} any more",
            { Damage: { } damage } => $"point {seen.ShortId} is damaged: {damage}",
            _ when record is null => $"point {seen.ShortId} holds no volume {volume}",
            _ when !_begun.IsSettled && seen.Generation < _generation => "a garbage collection is under way that began after the last point",
            _ => null,
        };
        if (why is not null)
        {
            return false;
        }

        found = new BaseImage(this, _begun.Chunks, point, record!, _chunkSize);
        return true;
    }

    /// <summary>
    /// An image of this very session as a base: for a volume that is copied in passes, each of which replaces what changed since the one before. Only the last image belongs
    /// into the point.
    /// </summary>
    /// <param name="unfinished">A record with the root and the length of an image that is finished and settled (<see cref="SettleAsync"/>).</param>
    public BaseImage BaseOf(VolumeRecord unfinished)
    {
        ArgumentNullException.ThrowIfNull(unfinished);
        return new BaseImage(this, _begun.Chunks, Id, unfinished, _chunkSize);
    }

    /// <summary>Begins the map of a volume's image upon the image of an earlier point: chunks about which nothing is said are as they were.</summary>
    /// <param name="upon">From <see cref="TryFindBase"/> of this session; of a volume of the same length.</param>
    /// <param name="chunksToCome">A bit for each chunk of the volume, set where <see cref="ImageWriter.Set"/> will be called. Not changed meanwhile.</param>
    /// <param name="holes">Chunks that become holes, none of which is to come. Not changed meanwhile.</param>
    public ImageWriter NewImage(BaseImage upon, BlockBitmap chunksToCome, BlockBitmap holes)
    {
        ArgumentNullException.ThrowIfNull(upon);
        if (!ReferenceEquals(upon.Session, this))
        {
            throw new ArgumentException("a base is used with the session that found it", nameof(upon));
        }

        return chunksToCome.Length == upon.ChunkCount && holes.Length == upon.ChunkCount
            ? Keep(new ImageWriter(this, chunksToCome, upon, holes, _giveUpImages.Token))
            : throw new ArgumentException($"the base has {upon.ChunkCount} chunks, not {chunksToCome.Length} or {holes.Length}", nameof(chunksToCome));
    }

    private ImageWriter Keep(ImageWriter image)
    {
        lock (_imagesGate)
        {
            _images.Add(image);
        }

        return image;
    }

    private async Task StopImagesAsync()
    {
        await _giveUpImages.CancelAsync();
        ImageWriter[] images;
        lock (_imagesGate)
        {
            images = [.. _images];
        }

        foreach (ImageWriter image in images)
        {
            await image.QuiesceAsync();
        }

        _giveUpImages.Dispose();
    }
}

/// <summary>What a session saw when it began, in this order: registered, then the garbage collections, then the points. (§10.5)</summary>
/// <param name="Chunks">Where map pages are read.</param>
/// <param name="Points">The points.</param>
/// <param name="IsSettled">Whether the highest garbage collection was done when the points were listed.</param>
internal sealed record SessionBeginning(ChunkReader Chunks, PointListing Points, bool IsSettled);
