using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Store;

/// <summary>What users know a snapshot by. Durable: it outlives even a snapshot that is lost, so that nobody misses one silently.</summary>
internal sealed record CatalogueEntry
{
    public required uint Number { get; init; }

    /// <summary>What the user called it; empty when nothing.</summary>
    public string Label { get; init; } = "";

    public required DateTimeOffset Instant { get; init; }

    public required SnapshotGrade Grade { get; init; }

    /// <summary>Why it is gone although nobody deleted it; null while the store has it.</summary>
    public string? Lost { get; init; }

    /// <summary>For programs that want one; null in entries of older versions.</summary>
    public Guid? Id { get; init; }

    /// <summary>The set that it was taken in; null in entries of older versions.</summary>
    public KeptSet? Set { get; init; }
}

/// <summary>What was written down when the volume was detached in order.</summary>
/// <param name="Checksum">Of the table's bytes.</param>
/// <param name="Length">Bytes of the origin.</param>
/// <param name="Identity">Which origin it was.</param>
/// <param name="Stamp">Differs after any write to it.</param>
internal sealed record StoreSeal(uint Checksum, long Length, string? Identity, string? Stamp);

/// <summary>Where a store is.</summary>
/// <param name="Id">Which one.</param>
/// <param name="Folder">The folder of its data file.</param>
/// <param name="BootId">The run of the kernel in which its table is mapped.</param>
/// <param name="Seal">Not null while the volume is detached.</param>
internal sealed record StorePlace(Guid Id, string Folder, string BootId, StoreSeal? Seal);

/// <summary>A volume's list of persistent snapshots, in the machine's state directory.</summary>
internal sealed record Catalogue
{
    /// <summary>The number of the next snapshot. Never used twice, lost snapshots and stores included.</summary>
    public uint Next { get; init; } = 1;

    /// <summary>The store; null when there is none.</summary>
    public StorePlace? Store { get; init; }

    public IReadOnlyList<CatalogueEntry> Snapshots { get; init; } = [];

    /// <summary>Reads what is there; an empty one when nothing is.</summary>
    /// <exception cref="JsonException">It is damaged.</exception>
    internal static Catalogue Read(string path) =>
        File.Exists(path) ? JsonSerializer.Deserialize(File.ReadAllBytes(path), CatalogueJson.Default.Catalogue)! : new Catalogue();

    /// <summary>Puts it in the place of what is there, in one step. Durable when it returns.</summary>
    internal void Write(string path)
    {
        string folder = Path.GetDirectoryName(path)!;
        bool isNewFolder = !Directory.Exists(folder);
        Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        string draft = path + ".new";
        using (SafeFileHandle file = NativeFile.Open(draft, OpenMode.WriteOnly | OpenMode.Create | OpenMode.Truncate))
        {
            NativeFile.Write(file, JsonSerializer.SerializeToUtf8Bytes(this, CatalogueJson.Default.Catalogue), 0);
            NativeFile.Sync(file);
        }

        if (NativeFile.TryExchange(draft, path))
        {
            File.Delete(draft);
        }
        else if (!NativeFile.TryRenameNoReplace(draft, path))
        {
            throw new IOException($"{path} came into being while it was written");
        }

        NativeFile.SyncDirectory(folder);
        if (isNewFolder)
        {
            NativeFile.SyncDirectory(Path.GetDirectoryName(folder)!);
        }
    }
}

/// <summary>Serialisers compiled in.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true, UseStringEnumConverter = true)]
[JsonSerializable(typeof(Catalogue))]
internal sealed partial class CatalogueJson : JsonSerializerContext;
