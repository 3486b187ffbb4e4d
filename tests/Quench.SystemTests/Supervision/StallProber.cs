using System.Diagnostics;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.Interop.Memory;
using Quench.SystemTests.Harness;

namespace Quench.SystemTests.Supervision;

/// <summary>
/// A user of the volume that does one small direct write or read after the other and notes how long each took: what production feels of a worker's
/// death. An error of one of them is kept and thrown at the end.
/// </summary>
internal sealed class StallProber : IAsyncDisposable
{
    private const int Block = 4096;
    private const int Blocks = 64;

    private readonly string _path;
    private readonly Lock _gate = new();
    private readonly List<(long Begin, long End)> _operations = []; // those of the page
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _work;
    private long _begun; // of the operation that is under way

    /// <summary>Begins.</summary>
    /// <param name="path">A new file on the volume, or the volume's device.</param>
    internal StallProber(string path)
    {
        _path = path;
        _work = Task.Factory.StartNew(Run, TaskCreationOptions.LongRunning);
    }

    /// <summary>How long the operation that is under way has lasted.</summary>
    internal TimeSpan Waiting => Stopwatch.GetElapsedTime(Volatile.Read(ref _begun));

    /// <summary>Begins a new page of the books: from now on only what ends later is asked for.</summary>
    internal void Watch()
    {
        lock (_gate)
        {
            _operations.Clear();
        }
    }

    /// <summary>The longest operation that has ended since the page was begun.</summary>
    internal TimeSpan Longest()
    {
        lock (_gate)
        {
            return _operations.Select(operation => Stopwatch.GetElapsedTime(operation.Begin, operation.End)).DefaultIfEmpty().Max();
        }
    }

    /// <summary>When the first operation of the page ended that had begun after a moment, or was under way then; null when none has.</summary>
    internal long? FirstEndAfter(long moment)
    {
        lock (_gate)
        {
            return _operations.Where(operation => operation.End > moment).Select(operation => (long?)operation.End).Min();
        }
    }

    /// <summary>Waits until it has got an answer again; whatever was under way is in the books then.</summary>
    internal async Task GoesOnAsync()
    {
        long now = Stopwatch.GetTimestamp();
        await Wait.UntilAsync(() => _work.IsCompleted || FirstEndAfter(now) is not null, TimeSpan.FromSeconds(20), "the volume answers again");
    }

    /// <summary>Stops it; throws what the volume did to it.</summary>
    internal async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _work.WaitAsync(TimeSpan.FromSeconds(30));
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _work.WaitAsync(TimeSpan.FromSeconds(30)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private static byte Pattern(int round) => (byte)(round / 2 % 256);

    private void Run()
    {
        using SafeFileHandle file = NativeFile.Open(_path, OpenMode.ReadWrite | OpenMode.Create | OpenMode.Direct);
        using NativeBuffer buffer = new(Block);
        for (int round = 0; !_stop.IsCancellationRequested; round++)
        {
            long offset = round / 2 % Blocks * Block;
            long begin = Stopwatch.GetTimestamp();
            Volatile.Write(ref _begun, begin);
            if (round % 2 == 0)
            {
                buffer.GetSpan().Fill(Pattern(round));
                NativeFile.Write(file, buffer.GetSpan(), offset);
            }
            else
            {
                NativeFile.ReadExactly(file, buffer.GetSpan(), offset);
                if (buffer.GetSpan().ContainsAnyExcept(Pattern(round)))
                {
                    throw new InvalidDataException($"{_path}: a block at {offset} does not read as it was written a moment ago");
                }
            }

            lock (_gate)
            {
                _operations.Add((begin, Stopwatch.GetTimestamp()));
            }
        }
    }
}
