using System.Text.Json;
using Quench.Blocks;
using Quench.Vault.Format;
using Quench.Vault.Keys;
using Quench.Vault.Points;
using Quench.Vault.Stores;

namespace Quench.Vault.Upkeep;

/// <summary>Keeps what was verified when, as objects of the vault that are folded into one whenever somebody writes. (docs/vault-format.md §9.3)</summary>
internal sealed class CheckLog(IObjectStore store, VaultKeys keys)
{
    /// <summary>Reads all of it.</summary>
    /// <returns>What is known, and the objects that say so.</returns>
    internal async Task<(VaultChecks Checks, IReadOnlyList<string> Names)> ReadAsync(CancellationToken cancellationToken)
    {
        VaultChecks checks = VaultChecks.None;
        List<string> names = [];
        await foreach (StoredObject found in store.ListAsync(ObjectNames.Checks, cancellationToken))
        {
            byte[]? bytes = await store.GetAsync(found.Name, cancellationToken);
            if (bytes is not null && keys.TryOpenEnvelope(EnvelopeKind.Check, found.Name, bytes) is { } body && TryRead(body) is { } record)
            {
                checks = checks.With(record);
                names.Add(found.Name);
            }
        }

        return (checks, names);
    }

    /// <summary>Writes a new object, then deletes those that it makes superfluous.</summary>
    internal async Task WriteAsync(VaultChecks checks, IReadOnlyList<string> superseded, CancellationToken cancellationToken)
    {
        Guid id = BackupSession.NewId();
        string name = ObjectNames.Check(id);
        CheckRecord record = new(
            id,
            [.. checks.Points.Select(check => new PointCheckRecord(check.Point, NameOf(check.Level), check.At, check.IsSound))],
            [.. checks.Parts.Select(check => new PartCheckRecord(check.Part.Number, check.Part.Count, check.At, check.Hurt))]);
        byte[] body = JsonSerializer.SerializeToUtf8Bytes(record, VaultJson.Default.CheckRecord);
        await store.PutAsync(name, keys.SealEnvelope(EnvelopeKind.Check, name, body), cancellationToken);
        foreach (string old in superseded)
        {
            try
            {
                await store.DeleteAsync(old, cancellationToken);
            }
            catch (QuenchException)
            {
                return; // who may not delete leaves them: they say nothing wrong
            }
        }
    }

    private static VaultChecks? TryRead(byte[] body)
    {
        try
        {
            return JsonSerializer.Deserialize(body, VaultJson.Default.CheckRecord) is { Points: not null, Parts: not null } record
                ? new VaultChecks(
                    [.. record.Points.Where(check => LevelOf(check.Level) is not null).Select(check => new PointCheck(check.Point, LevelOf(check.Level)!.Value, check.At, check.Sound))],
                    [.. record.Parts.Where(check => new VerifyPart(check.Part, check.Of).IsValid).Select(check => new PartCheck(new VerifyPart(check.Part, check.Of), check.At, check.Hurt ?? []))])
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string NameOf(VerifyLevel level) => level switch
    {
        VerifyLevel.Listed => "listed",
        VerifyLevel.Structure => "structure",
        VerifyLevel.Data => "data",
        _ => "restored",
    };

    private static VerifyLevel? LevelOf(string? name) => name switch
    {
        "listed" => VerifyLevel.Listed,
        "structure" => VerifyLevel.Structure,
        "data" => VerifyLevel.Data,
        "restored" => VerifyLevel.Restored,
        _ => null,
    };
}

/// <summary>The body of a check object.</summary>
internal sealed record CheckRecord(Guid Id, IReadOnlyList<PointCheckRecord> Points, IReadOnlyList<PartCheckRecord> Parts);

/// <summary>A point at a level.</summary>
internal sealed record PointCheckRecord(Guid Point, string Level, DateTimeOffset At, bool Sound);

/// <summary>A part of the packs.</summary>
internal sealed record PartCheckRecord(int Part, int Of, DateTimeOffset At, IReadOnlyList<Guid> Hurt);
