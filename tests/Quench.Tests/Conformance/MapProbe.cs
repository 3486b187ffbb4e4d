using Quench.Blocks;
using Xunit;

namespace Quench.Tests.Conformance;

/// <summary>Asks a reader for maps and holds them against its content.</summary>
internal static class MapProbe
{
    public static async Task HoldsAsync(IBlockReader reader, byte[] content, Random random, CancellationToken cancellationToken)
    {
        int sector = reader.Geometry.SectorSize;
        await CheckAsync(reader, content, reader.Geometry.Whole, cancellationToken);
        await CheckAsync(reader, content, default, cancellationToken);
        for (int round = 0; round < 20; round++)
        {
            long offset = random.NextInt64((content.Length / sector) + 1) * sector;
            long length = random.NextInt64(((content.Length - offset) / sector) + 1) * sector;
            await CheckAsync(reader, content, new Extent(offset, length), cancellationToken);
        }
    }

    private static async Task CheckAsync(IBlockReader reader, byte[] content, Extent range, CancellationToken cancellationToken)
    {
        long position = range.Offset;
        ExtentKind? before = null;
        foreach (MappedExtent entry in await reader.MapAsync(range, cancellationToken))
        {
            Assert.Equal(position, entry.Extent.Offset);
            Assert.False(entry.Extent.IsEmpty, "a map has no empty entries");
            Assert.NotEqual(before, entry.Kind);
            if (entry.Kind == ExtentKind.Zero)
            {
                bool zero = content.AsSpan((int)entry.Extent.Offset, (int)entry.Extent.Length).IndexOfAnyExcept((byte)0) < 0;
                Assert.True(zero, $"the map calls {entry.Extent} zero, but it holds data");
            }

            position = entry.Extent.End;
            before = entry.Kind;
        }

        Assert.Equal(range.End, position);
    }
}
