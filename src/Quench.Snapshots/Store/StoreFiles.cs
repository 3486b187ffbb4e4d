using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.Interop.Memory;

namespace Quench.Snapshots.Store;

/// <summary>The two files of a store that is in use: the table, mapped, and the data. Owns both.</summary>
internal sealed class StoreFiles : IDisposable
{
    private const int ChunkSize = 1 << 20;

    private readonly MappedFile _mapping;

    private readonly SafeFileHandle _data;

    private StoreFiles(MappedFile mapping, SlotTable table, SafeFileHandle data)
    {
        _mapping = mapping;
        _data = data;
        Table = table;
    }

    internal SlotTable Table { get; }

    private int BlockSize => Table.Geometry.BlockSize;

    /// <summary>Writes blocks into consecutive slots.</summary>
    /// <param name="slot">The first one.</param>
    /// <param name="blocks">Whole blocks, page-aligned.</param>
    internal void Write(int slot, ReadOnlySpan<byte> blocks) => NativeFile.Write(_data, blocks, (long)slot * BlockSize);

    /// <summary>Reads blocks from consecutive slots.</summary>
    /// <param name="slot">The first one.</param>
    /// <param name="into">Whole blocks.</param>
    /// <returns>False when the memory is not aligned for direct I/O: read into other memory then.</returns>
    internal bool TryRead(int slot, Span<byte> into)
    {
        if (!NativeFile.TryReadAligned(_data, into, (long)slot * BlockSize, BlockSize, out int count))
        {
            return false;
        }

        return count == into.Length ? true : throw new EndOfStreamException($"the store's data file ends before slot {slot}");
    }

    /// <summary>Makes durable what is in the slots.</summary>
    internal void Flush() => NativeFile.Sync(_data);

    /// <summary>Makes a new store. All of its storage is taken now, so that no write of the volume ever meets a full disk.</summary>
    /// <exception cref="LinuxErrorException">There is not so much room. Nothing stays.</exception>
    internal static StoreFiles Create(string tablePath, string dataPath, StoreGeometry geometry)
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
            return Join(mapping, SlotTable.Format(mapping.Memory, geometry), dataPath);
        }
        catch
        {
            Remove(tablePath, dataPath);
            throw;
        }
    }

    /// <summary>Takes up the files that another process left. Null when they don't belong to a store, or not to each other.</summary>
    internal static StoreFiles? TryOpen(string tablePath, string dataPath)
    {
        if (NativeFile.TryGetStatus(tablePath) is not { Length: >= SlotTable.SlotsOffset and <= int.MaxValue } status || !File.Exists(dataPath))
        {
            return null;
        }

        MappedFile mapping;
        using (SafeFileHandle file = NativeFile.Open(tablePath, OpenMode.ReadWrite))
        {
            GiveStorage(file, status.Length);
            mapping = new MappedFile(file, (int)status.Length, locked: true);
        }

        if (SlotTable.TryOpen(mapping.Memory) is { } table && new FileInfo(dataPath).Length >= (long)table.Geometry.Slots * table.Geometry.BlockSize)
        {
            return Join(mapping, table, dataPath);
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
    public void Dispose()
    {
        ((IDisposable)_mapping).Dispose();
        _data.Dispose();
    }

    private static StoreFiles Join(MappedFile mapping, SlotTable table, string dataPath)
    {
        try
        {
            return new StoreFiles(mapping, table, NativeFile.TryOpenDirect(dataPath, OpenMode.ReadWrite) ?? NativeFile.Open(dataPath, OpenMode.ReadWrite));
        }
        catch
        {
            ((IDisposable)mapping).Dispose();
            throw;
        }
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
