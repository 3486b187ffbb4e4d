using System.Buffers.Binary;
using Quench.Blocks;
using Quench.Blocks.Devices;

namespace Quench.SystemTests.Shadow;

/// <summary>
/// Threads that each write a number to one volume, and when that has landed the same number to another one. So at any instant the first is the second, or one ahead: whatever was taken of the two
/// at different times shows it.
/// </summary>
internal sealed class PairWriter : IAsyncDisposable
{
    private const int Lanes = 4;
    private const int Block = 4096;

    private readonly Disk _first;
    private readonly Disk _second;
    private readonly Thread[] _threads;
    private readonly long[] _written = new long[Lanes];
    private volatile bool _stop;

    internal PairWriter(string first, string second)
    {
        (_first, _second) = (Open(first), Open(second));
        _threads = [.. Enumerable.Range(0, Lanes).Select(lane => new Thread(() => Run(lane)))];
        Array.ForEach(_threads, thread => thread.Start());
    }

    /// <summary>Waits until each thread has written so many more pairs.</summary>
    internal void More(int pairs)
    {
        long[] goals = [.. _written.Select(written => written + pairs)];
        SpinWait.SpinUntil(() => Enumerable.Range(0, Lanes).All(lane => Volatile.Read(ref _written[lane]) >= goals[lane]));
    }

    /// <summary>How the two differ at what is said to be one instant; empty when they don't.</summary>
    internal static async Task<IReadOnlyList<string>> DifferencesAsync(IBlockReader first, IBlockReader second, CancellationToken cancellationToken)
    {
        List<string> found = [];
        byte[] buffer = new byte[Block];
        for (int lane = 0; lane < Lanes; lane++)
        {
            long one = await NumberAsync(first, lane, buffer, cancellationToken);
            long other = await NumberAsync(second, lane, buffer, cancellationToken);
            if (one < other || one > other + 1)
            {
                found.Add($"lane {lane}: {one} on the first volume, {other} on the second");
            }
        }

        return found;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _stop = true;
        Array.ForEach(_threads, thread => thread.Join());
        await _first.DisposeAsync();
        await _second.DisposeAsync();
    }

    private static Disk Open(string device) => Disk.Open(device, DeviceAccess.ReadWrite, exclusive: false);

    private static async Task<long> NumberAsync(IBlockReader reader, int lane, byte[] buffer, CancellationToken cancellationToken)
    {
        await reader.ReadAsync(lane * Block, buffer, cancellationToken);
        return BinaryPrimitives.ReadInt64LittleEndian(buffer);
    }

    private void Run(int lane)
    {
        byte[] block = new byte[Block];
        for (long number = 1; !_stop; number++)
        {
            BinaryPrimitives.WriteInt64LittleEndian(block, number);
            _first.Write(lane * Block, block);
            _second.Write(lane * Block, block);
            Volatile.Write(ref _written[lane], number);
        }
    }
}
