using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.Snapshots.Tracking;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>Where a volume's change tracking is kept from one attachment to the next, reboots included.</summary>
/// <remarks>
/// <code>
/// /var/lib/quench/volumes/NAME/
///     intents           the write-intent map; its lock is held by the worker
///     checkpoint.0, .1  the exact map and the marks, written in turn
///     seal.json         what `quench detach` saw of the origin when the worker had died
/// </code>
/// QUENCH_STATE_DIR puts it elsewhere.
/// </remarks>
internal sealed record StateDirectory(string Folder)
{
    internal string Intents => Path.Combine(Folder, "intents");

    internal string Seal => Path.Combine(Folder, "seal.json");

    internal static StateDirectory For(string name) =>
        new(Path.Combine(Path.GetFullPath(Environment.GetEnvironmentVariable("QUENCH_STATE_DIR") is { Length: > 0 } named ? named : "/var/lib/quench"), "volumes", name));

    internal string Slot(int slot) => Path.Combine(Folder, slot == 0 ? "checkpoint.0" : "checkpoint.1");

    /// <summary>What is in a file; nothing when it is not there.</summary>
    internal static byte[] Content(string path) => File.Exists(path) ? File.ReadAllBytes(path) : [];

    /// <summary>What was written down after the worker's death; null when nothing was, or when it can't be read.</summary>
    internal OriginSeal? ReadSeal()
    {
        try
        {
            return File.Exists(Seal) ? JsonSerializer.Deserialize(File.ReadAllBytes(Seal), ControlJson.Default.OriginSeal) : null;
        }
        catch (JsonException)
        {
            return null; // torn by another death: as good as none
        }
    }

    /// <summary>Writes down what the origin looks like after the worker's death, unless somebody did before. Durable when it returns.</summary>
    internal void WriteSeal(OriginSeal seal)
    {
        using (SafeFileHandle file = NativeFile.Open(Seal, OpenMode.WriteOnly | OpenMode.Create | OpenMode.Truncate))
        {
            NativeFile.Write(file, JsonSerializer.SerializeToUtf8Bytes(seal, ControlJson.Default.OriginSeal), 0);
            NativeFile.Sync(file);
        }

        NativeFile.SyncDirectory(Folder);
    }

    /// <summary>Takes everything away, for good.</summary>
    internal void Remove()
    {
        if (Directory.Exists(Folder))
        {
            Directory.Delete(Folder, recursive: true);
            NativeFile.SyncDirectory(Path.GetDirectoryName(Folder)!);
        }
    }
}
