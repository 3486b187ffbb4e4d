using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Xunit;

namespace Quench.Tests.FileSystems;

/// <summary>A volume over a file or an array that refuses reads which no device of its sector size would serve.</summary>
internal sealed class TestVolume : IBlockReader
{
    private readonly SafeFileHandle? _file;
    private readonly byte[]? _bytes;

    private TestVolume(SafeFileHandle? file, byte[]? bytes, long length, int sectorSize)
    {
        _file = file;
        _bytes = bytes;
        Geometry = new BlockGeometry(length, sectorSize);
    }

    public BlockGeometry Geometry { get; }

    public static TestVolume OverFile(string path, int sectorSize = 512)
    {
        SafeFileHandle file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        return new TestVolume(file, null, RandomAccess.GetLength(file), sectorSize);
    }

    public static TestVolume Over(byte[] bytes, int sectorSize = 512) => new(null, bytes, bytes.Length, sectorSize);

    public ValueTask ReadAsync(long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        long end = offset + into.Length;
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(end, Geometry.Length);
        if (offset % Geometry.SectorSize != 0 || (end % Geometry.SectorSize != 0 && end != Geometry.Length))
        {
            throw new ArgumentOutOfRangeException(nameof(offset), $"a read of [{offset}, {end}) is not of whole sectors of {Geometry.SectorSize} bytes");
        }

        if (_bytes is not null)
        {
            _bytes.AsMemory((int)offset, into.Length).CopyTo(into);
        }
        else
        {
            Assert.Equal(into.Length, RandomAccess.Read(_file!, into.Span, offset));
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask<IReadOnlyList<MappedExtent>> MapAsync(Extent range, CancellationToken cancellationToken) => new(ExtentMap.AllData(range));

    public ValueTask DisposeAsync()
    {
        _file?.Dispose();
        return ValueTask.CompletedTask;
    }
}
