namespace Quench.Vault;

/// <summary>
/// Where a recovery point was made: the vault and the id that it has there. A copy carries it in its notes, and so does a copy of a copy; so a vault
/// that has the point by whatever way is recognised.
/// </summary>
/// <param name="Vault">The vault that the point was made in.</param>
/// <param name="Point">Its id there.</param>
public readonly record struct PointOrigin(Guid Vault, Guid Point)
{
    private const string VaultNote = "copied-from-vault";
    private const string PointNote = "copied-from-point";

    /// <summary>The origin of a point.</summary>
    /// <param name="point">The point; its manifest is sound.</param>
    /// <param name="vault">The vault that it was read from.</param>
    public static PointOrigin Of(RecoveryPoint point, Guid vault) =>
        point.Notes.TryGetValue(VaultNote, out string? from) && Guid.TryParseExact(from, "N", out Guid originVault)
        && point.Notes.TryGetValue(PointNote, out string? id) && Guid.TryParseExact(id, "N", out Guid originPoint)
            ? new PointOrigin(originVault, originPoint)
            : new PointOrigin(vault, point.Id);

    /// <summary>A point's notes, and where it came from.</summary>
    internal Dictionary<string, string> AddTo(IReadOnlyDictionary<string, string> notes) => new(notes, StringComparer.Ordinal)
    {
        [VaultNote] = Vault.ToString("N"),
        [PointNote] = Point.ToString("N"),
    };
}
