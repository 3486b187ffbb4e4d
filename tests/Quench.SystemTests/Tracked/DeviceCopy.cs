using System.Globalization;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Interop.Memory;
using Quench.Snapshots;
using Quench.Snapshots.Providers.Tracked;
using Xunit;

namespace Quench.SystemTests.Tracked;

/// <summary>
/// A requestor that keeps the copy in memory, every block of it whether in use or not, and reads the whole device once more while its writers are held: the copy must be that.
/// </summary>
internal static class DeviceCopy
{
    private const int PieceBytes = 1 << 20;

    /// <summary>Copies a volume under load and compares.</summary>
    /// <returns>A few words for the figures.</returns>
    /// <exception cref="InvalidOperationException">A block differs: which, and when it was copied last.</exception>
    internal static async Task<string> CompareAsync(MountedLoop loop)
    {
        TrackedOptions options = new() { FreezeLimit = TimeSpan.FromSeconds(60), Limits = new ConvergenceLimits { LittleBytes = 2 << 20 } };
        await using IConvergingSnapshot snapshot = TrackedProvider.Start(loop.Find(), options, TimeProvider.System);
        int length = checked((int)snapshot.Reader.Geometry.Length);
        using NativeBuffer copy = new(length);
        using NativeBuffer frozen = new(length);
        int[] copiedIn = new int[(length / DeviceTracker.DefaultBlockSize) + 1];
        List<long> passes = [];
        UsedBlocks left = new(length, DeviceTracker.DefaultBlockSize);
        for (bool isHeld = false; !isHeld;)
        {
            Add(await snapshot.TakeChangesAsync(CancellationToken.None), left);
            if (snapshot.ShouldHold(left.TotalLength))
            {
                isHeld = await snapshot.HoldAsync(
                    async changed =>
                    {
                        Add(changed, left);
                        await using RawDevice whole = RawDevice.Open(loop.Device, DeviceAccess.Read, exclusive: false);
                        await ReadAsync(whole, new Extent(0, length), frozen);
                        return left;
                    },
                    CancellationToken.None);
                if (!isHeld)
                {
                    continue;
                }
            }

            passes.Add(left.TotalLength);
            foreach (Extent run in left.Runs())
            {
                await ReadAsync(snapshot.Reader, run, copy);
                Array.Fill(copiedIn, passes.Count, (int)(run.Offset / left.BlockSize), (int)((run.Length + left.BlockSize - 1) / left.BlockSize));
            }

            left.Bits.ClearRange(0, left.Bits.Length);
        }

        Demand(copy.GetSpan(), frozen.GetSpan(), copiedIn, passes.Count);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"passes {string.Join(" → ", passes.Select(ByteSize.Format))}, freeze {snapshot.FreezeTime!.Value.TotalMilliseconds:0.0} ms (with a full read of the device in it)");
    }

    private static void Add(UsedBlocks changed, UsedBlocks left)
    {
        foreach (Extent run in changed.Runs())
        {
            left.Add(run);
        }
    }

    private static async Task ReadAsync(IBlockReader from, Extent extent, NativeBuffer into)
    {
        for (long at = extent.Offset; at < extent.End; at += PieceBytes)
        {
            int count = (int)Math.Min(PieceBytes, extent.End - at);
            await from.ReadAsync(at, into.Memory.Slice((int)at, count), CancellationToken.None);
        }
    }

    private static void Demand(ReadOnlySpan<byte> copy, ReadOnlySpan<byte> frozen, int[] copiedIn, int passes)
    {
        List<string> wrong = [];
        for (int at = 0; at < copy.Length; at += DeviceTracker.DefaultBlockSize)
        {
            int count = Math.Min(DeviceTracker.DefaultBlockSize, copy.Length - at);
            if (!copy.Slice(at, count).SequenceEqual(frozen.Slice(at, count)))
            {
                wrong.Add($"block {at / DeviceTracker.DefaultBlockSize} differs; it was copied last in pass {copiedIn[at / DeviceTracker.DefaultBlockSize]} of {passes}");
            }
        }

        Assert.True(wrong.Count == 0, $"{wrong.Count} blocks are wrong\n{string.Join('\n', wrong.Take(20))}");
    }
}
