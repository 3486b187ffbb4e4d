using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Tests.Conformance;

namespace Quench.Tests.Blocks.Devices;

public sealed class MemoryDeviceConformance : BlockDeviceConformance
{
    protected override ValueTask<IBlockDevice> NewDeviceAsync() => new(new MemoryDevice(Length));
}

public sealed class DirectImageFileConformance : BlockDeviceConformance
{
    private readonly TemporaryDirectory _directory = new();

    protected override ValueTask<IBlockDevice> NewDeviceAsync() => new(ImageFile.CreateNew(_directory["disk.img"], Length));

    protected override ValueTask CleanUpAsync()
    {
        _directory.Dispose();
        return ValueTask.CompletedTask;
    }
}

public sealed class BufferedImageFileConformance : BlockDeviceConformance
{
    private readonly TemporaryDirectory _directory = new();

    protected override ValueTask<IBlockDevice> NewDeviceAsync() => new(ImageFile.CreateNew(_directory["disk.img"], Length, direct: false));

    protected override ValueTask CleanUpAsync()
    {
        _directory.Dispose();
        return ValueTask.CompletedTask;
    }
}

public class RawDeviceConformance : BlockDeviceConformance
{
    private LoopDevice? _loop;

    protected virtual int LoopSectorSize => 512;

    protected override async ValueTask<IBlockDevice> NewDeviceAsync()
    {
        _loop = await LoopDevice.AttachAsync(Length, LoopSectorSize);
        return RawDevice.Open(_loop.Path, DeviceAccess.ReadWrite, exclusive: true);
    }

    protected override ValueTask CleanUpAsync() => _loop?.DisposeAsync() ?? ValueTask.CompletedTask;
}

public sealed class RawDeviceWithLargeSectorsConformance : RawDeviceConformance
{
    protected override int LoopSectorSize => 4096;
}

public sealed class WritableSliceConformance : BlockDeviceConformance
{
    protected override ValueTask<IBlockDevice> NewDeviceAsync() =>
        new(new WritableSlice(new MemoryDevice(Length + 8192), new Extent(4096, Length)));
}

public sealed class OverlayConformance : BlockDeviceConformance
{
    protected override ValueTask<IBlockDevice> NewDeviceAsync() => new(new Overlay(new MemoryDevice(Length), new MemoryDevice(Length)));
}

public sealed class OverlayOfLargeBlocksConformance : BlockDeviceConformance
{
    protected override int Length => (1024 * 1024) + 512; // the last block is cut off

    protected override ValueTask<IBlockDevice> NewDeviceAsync() =>
        new(new Overlay(new MemoryDevice(Length), new MemoryDevice(Length), blockSize: 64 * 1024));
}

public sealed class SliceConformance : BlockReaderConformance
{
    protected override ValueTask<IBlockReader> NewReaderAsync(byte[] content)
    {
        MemoryDevice whole = new(content.Length + 8192);
        whole.Write(4096, content);
        return new ValueTask<IBlockReader>(new Slice(whole, new Extent(4096, content.Length)));
    }
}

public sealed class ReadOnlyViewConformance : BlockReaderConformance
{
    protected override ValueTask<IBlockReader> NewReaderAsync(byte[] content)
    {
        MemoryDevice device = new(content.Length);
        device.Write(0, content);
        return new ValueTask<IBlockReader>(new ReadOnlyView(device));
    }
}

public sealed class ImageFileReaderConformance : BlockReaderConformance, IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    protected override async ValueTask<IBlockReader> NewReaderAsync(byte[] content)
    {
        await File.WriteAllBytesAsync(_directory["disk.img"], content, Token);
        return ImageFile.Open(_directory["disk.img"], DeviceAccess.Read, exclusive: true);
    }
}

public sealed class WritableByteAddressableConformance : BlockDeviceConformance
{
    protected override ValueTask<IBlockDevice> NewDeviceAsync() => new(new WritableByteAddressable(new MemoryDevice(Length, 4096)));
}
