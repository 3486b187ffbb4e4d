using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.Interop.Memory;

namespace Quench.Snapshots.Store;

/// <summary>The files of a store that is in use: the table, mapped, and the blocks.</summary>
/// <remarks>It owns the table; the blocks are their user's, because a thread may still be in the kernel with them.</remarks>
internal sealed class StoreFiles : IDisposable
{
    private const int ChunkSize = 1 << 20;
    private const long SmallestRing = 1 << 20;
    private const long LargestRing = 16 << 20;
    private const int RingShare = 16; // of the store

    private readonly MappedFile _mapping;

    private StoreFiles(MappedFile mapping, SlotTable table, StoreBlocks blocks)
    {
        _mapping = mapping;
        Table = table;
        Blocks = blocks;
    }

    internal SlotTable Table { get; }

    /// <summary>The kept blocks. Whoever uses them disposes them.</summary>
    internal StoreBlocks Blocks { get; }

    /// <summary>Makes a new store. All of its storage is taken now, so that no write of the volume ever meets a full disk.</summary>
    /// <param name="tablePath">The mapped table.</param>
    /// <param name="ringPath">The mapped ring.</param>
    /// <param name="dataPath">The data file.</param>
    /// <param name="geometry">What it is made for.</param>
    /// <exception cref="LinuxErrorException">There is not so much room. Nothing stays.</exception>
    internal static StoreFiles Create(string tablePath, string ringPath, string dataPath, StoreGeometry geometry)
    {
        try
        {
            using (SafeFileHandle data = NativeFile.Open(dataPath, OpenMode.ReadWrite | OpenMode.Create | OpenMode.Truncate))
            {
                GiveStorage(data, (long)geometry.Slots * geometry.BlockSize);
                NativeFile.Sync(data);
            }

            NativeFile.SyncDirectory(Path.GetDirectoryName(dataPath)!);
            MappedFile mapping = MapNew(tablePath, (int)SlotTable.BytesFor(geometry.Slots));
            return Join(mapping, SlotTable.Format(mapping.Memory, geometry), ringPath, dataPath, isResumed: false)!;
        }
        catch
        {
            Remove(tablePath, ringPath, dataPath);
            throw;
        }
    }

    /// <summary>Takes up the files that another process left. Null when they don't belong to a store, or not to each other.</summary>
    /// <param name="tablePath">The mapped table.</param>
    /// <param name="ringPath">The mapped ring.</param>
    /// <param name="dataPath">The data file.</param>
    /// <param name="isResumed">Whether that process died: then the ring must be there, with what is not in the data file. Otherwise a new one is made.</param>
    internal static StoreFiles? TryOpen(string tablePath, string ringPath, string dataPath, bool isResumed)
    {
        if (NativeFile.TryGetStatus(tablePath) is not { Length: >= SlotTable.SlotsOffset and <= int.MaxValue } || !File.Exists(dataPath))
        {
            return null;
        }

        MappedFile mapping = TryMap(tablePath)!;
        if (SlotTable.TryOpen(mapping.Memory) is { } table && new FileInfo(dataPath).Length >= (long)table.Geometry.Slots * table.Geometry.BlockSize)
        {
            return Join(mapping, table, ringPath, dataPath, isResumed);
        }

        ((IDisposable)mapping).Dispose();
        return null;
    }

    /// <summary>Deletes a store's files, those that are there.</summary>
    internal static void Remove(params ReadOnlySpan<string> paths)
    {
        foreach (string path in paths)
        {
            File.Delete(path);
        }
    }

    /// <summary>Makes a table one that nobody believes, first by its content: a name that can't be taken away must not lead to it.</summary>
    internal static void Strike(string tablePath)
    {
        using (SafeFileHandle table = NativeFile.Open(tablePath, OpenMode.ReadWrite))
        {
            NativeFile.Write(table, new byte[SlotTable.SlotsOffset], 0);
        }

        File.Delete(tablePath);
    }

    /// <summary>Copies a table to a new place and makes it durable there.</summary>
    /// <returns>The checksum of its bytes.</returns>
    internal static uint CopyTable(string from, string to)
    {
        using SafeFileHandle source = NativeFile.Open(from, OpenMode.ReadOnly);
        using SafeFileHandle target = NativeFile.Open(to, OpenMode.ReadWrite | OpenMode.Create | OpenMode.Truncate);
        byte[] chunk = new byte[ChunkSize];
        long length = NativeFile.GetLength(source);
        GiveStorage(target, length);
        uint checksum = uint.MaxValue;
        for (long at = 0; at < length; at += chunk.Length)
        {
            Span<byte> part = chunk.AsSpan(0, (int)Math.Min(chunk.Length, length - at));
            NativeFile.ReadExactly(source, part, at);
            checksum = SlotTable.Checksum(part, checksum);
            NativeFile.Write(target, part, at);
        }

        NativeFile.Sync(target);
        NativeFile.SyncDirectory(Path.GetDirectoryName(to)!);
        return checksum;
    }

    /// <inheritdoc/>
    public void Dispose() => ((IDisposable)_mapping).Dispose();

    private static StoreFiles? Join(MappedFile mapping, SlotTable table, string ringPath, string dataPath, bool isResumed)
    {
        try
        {
            if (OpenBlocks(table.Geometry, ringPath, dataPath, isResumed) is { } blocks)
            {
                return new StoreFiles(mapping, table, blocks);
            }
        }
        catch
        {
            ((IDisposable)mapping).Dispose();
            throw;
        }

        ((IDisposable)mapping).Dispose();
        return null;
    }

    private static StoreBlocks? OpenBlocks(StoreGeometry geometry, string ringPath, string dataPath, bool isResumed)
    {
        if (!isResumed)
        {
            Remove(ringPath); // another process may still have an old one mapped
        }

        MappedFile? mapping = isResumed ? TryMap(ringPath) : MapNew(ringPath, RingMemory.BytesFor(RingCells(geometry), geometry.BlockSize));
        RingMemory? ring = mapping is null ? null
            : isResumed ? RingMemory.TryOpen(mapping.Memory, geometry.Id) : RingMemory.Format(mapping.Memory, RingCells(geometry), geometry.BlockSize, geometry.Id);
        try
        {
            if (ring is not null)
            {
                return new StoreBlocks(
                    NativeFile.TryOpenDirect(dataPath, OpenMode.ReadWrite) ?? NativeFile.Open(dataPath, OpenMode.ReadWrite), mapping!, ring, geometry.BlockSize);
            }
        }
        catch
        {
            ((IDisposable)mapping!).Dispose();
            throw;
        }

        ((IDisposable?)mapping)?.Dispose();
        return null;
    }

    /// <summary>A sixteenth of the store, 1 to 16 MiB: enough for what a disk takes in a quarter of a second.</summary>
    private static int RingCells(StoreGeometry geometry) =>
        (int)(Math.Clamp((long)geometry.Slots * geometry.BlockSize / RingShare, SmallestRing, LargestRing) / geometry.BlockSize);

    private static MappedFile? TryMap(string path)
    {
        if (NativeFile.TryGetStatus(path) is not { Length: > 0 and <= int.MaxValue } status)
        {
            return null;
        }

        using SafeFileHandle file = NativeFile.Open(path, OpenMode.ReadWrite);
        GiveStorage(file, status.Length);
        return new MappedFile(file, (int)status.Length, locked: true);
    }

    private static MappedFile MapNew(string path, int length)
    {
        using SafeFileHandle file = NativeFile.Open(path, OpenMode.ReadWrite | OpenMode.Create | OpenMode.Truncate);
        GiveStorage(file, length);
        return new MappedFile(file, length, locked: true);
    }

    /// <summary>Where a file system can't promise storage, zeros are written: that is the same promise.</summary>
    private static void GiveStorage(SafeFileHandle file, long length)
    {
        if (NativeFile.TryAllocate(file, length))
        {
            return;
        }

        byte[] zeros = new byte[ChunkSize];
        for (long at = NativeFile.GetLength(file); at < length; at += zeros.Length)
        {
            NativeFile.Write(file, zeros.AsSpan(0, (int)Math.Min(zeros.Length, length - at)), at);
        }
    }
}
