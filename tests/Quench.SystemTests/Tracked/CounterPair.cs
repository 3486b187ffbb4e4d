using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Xunit;

namespace Quench.SystemTests.Tracked;

/// <summary>
/// Two files on two file systems: a writer puts a number into the first and has it on disk before it puts the same number into the second. At any one instant the first is therefore equal to the
/// second or one ahead; of two instants that can't be said.
/// </summary>
internal sealed class CounterPair : IAsyncDisposable
{
    private readonly CancellationTokenSource _enough = new();
    private readonly Task _writing;
    private long _written;

    internal CounterPair(string first, string second) => _writing = Task.Factory.StartNew(() => Write(first, second), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <summary>How many numbers are in both files.</summary>
    internal long Written => Interlocked.Read(ref _written);

    /// <summary>Demands that two copies of the files show one instant.</summary>
    /// <returns>The number in the first.</returns>
    internal static long DemandOneInstant(string first, string second)
    {
        long one = Read(first);
        long other = Read(second);
        Assert.True(one == other || one == other + 1, $"the first file has {one}, the second {other}: they were not written so at any one instant");
        return one;
    }

    /// <summary>Waits until so many more numbers have been written.</summary>
    internal async Task GoOnAsync(long numbers)
    {
        long until = Written + numbers;
        await Harness.Wait.UntilAsync(() => Written >= until || _writing.IsCompleted, TimeSpan.FromSeconds(30), "the writer goes on");
        Assert.False(_writing.IsCompleted, "the writer has ended");
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _enough.CancelAsync();
        await _writing;
        _enough.Dispose();
    }

    private void Write(string first, string second)
    {
        using SafeFileHandle one = NativeFile.Open(first, OpenMode.ReadWrite | OpenMode.Create);
        using SafeFileHandle other = NativeFile.Open(second, OpenMode.ReadWrite | OpenMode.Create);
        byte[] block = new byte[4096];
        for (long number = 1; !_enough.IsCancellationRequested; number++)
        {
            BinaryPrimitives.WriteInt64LittleEndian(block, number);
            foreach (SafeFileHandle file in (SafeFileHandle[])[one, other])
            {
                NativeFile.Write(file, block, 0);
                NativeFile.Sync(file);
            }

            Interlocked.Exchange(ref _written, number);
        }
    }

    private static long Read(string path)
    {
        byte[] block = File.ReadAllBytes(path);
        return block.Length == 0 ? 0 : BinaryPrimitives.ReadInt64LittleEndian(block);
    }
}
