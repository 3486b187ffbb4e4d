using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.SystemTests.Harness;

namespace Quench.SystemTests.Stamps;

/// <summary>
/// What else goes on on a busy volume: writes of 4 KiB to 1 MiB anywhere in a file, some of them synced, files that come and go, and the
/// file system's discards. Its blocks say where they belong, but not which moment they are from.
/// </summary>
internal sealed class BusyWriter : IAsyncDisposable
{
    private const int MaxBlocks = 256;
    private const int TrimEvery = 64;

    private readonly string _folder;
    private readonly StampField _field;
    private readonly Random _random;
    private readonly bool _trims;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _work;

    /// <summary>Begins.</summary>
    /// <param name="mountPoint">Where.</param>
    /// <param name="blocks">How large its file is.</param>
    /// <param name="random">Decides everything.</param>
    /// <param name="trims">Whether it has the file system discard all that is free, now and then.</param>
    internal BusyWriter(string mountPoint, int blocks, Random random, bool trims = true)
    {
        _trims = trims;
        _folder = mountPoint;
        _random = random;
        _field = new StampField((ulong)random.NextInt64(), blocks);
        _work = Task.Run(RunAsync);
    }

    private static string FileName => "busy";

    /// <summary>Demands that every block of its file, as found in a folder, is whole and in its place.</summary>
    internal void DemandWhole(string folder, string what) => InPlace.DemandWhole(_field, Path.Combine(folder, FileName), what);

    /// <summary>Stops it; throws what the volume did to it.</summary>
    internal async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _work;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _work.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        using SafeFileHandle file = NativeFile.Open(Path.Combine(_folder, FileName), OpenMode.ReadWrite | OpenMode.Create);
        NativeFile.SetLength(file, _field.Length);
        byte[] buffer = new byte[MaxBlocks * StampField.BlockSize];
        for (int round = 1; !_stop.IsCancellationRequested; round++)
        {
            WriteSomewhere(file, buffer);
            if (_random.Next(8) == 0)
            {
                ReplaceSmallFile(buffer);
            }

            if (_trims && round % TrimEvery == 0)
            {
                await Tool.RunAsync("fstrim", _folder);
            }
        }
    }

    private void WriteSomewhere(SafeFileHandle file, byte[] buffer)
    {
        int count = Math.Min(1 << _random.Next(9), _field.Blocks);
        int first = _random.Next(_field.Blocks - count + 1);
        Span<byte> part = buffer.AsSpan(0, count * StampField.BlockSize);
        for (int index = 0; index < count; index++)
        {
            InPlace.Encode(_field, part.Slice(index * StampField.BlockSize, StampField.BlockSize), first + index, _random.Next(1 << 20));
        }

        NativeFile.Write(file, part, (long)first * StampField.BlockSize);
        NativeFile.SyncData(file); // or memory takes it all, and the volume sees nothing of it
    }

    private void ReplaceSmallFile(byte[] buffer)
    {
        string path = Path.Combine(_folder, $"small-{_random.Next(32)}");
        File.Delete(path);
        using SafeFileHandle small = NativeFile.Open(path, OpenMode.WriteOnly | OpenMode.Create);
        NativeFile.Write(small, buffer.AsSpan(0, _random.Next(1, 64 * 1024)), 0);
    }
}
