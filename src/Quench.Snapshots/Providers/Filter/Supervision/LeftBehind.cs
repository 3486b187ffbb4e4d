using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Providers.Filter.Supervision;

/// <summary>The workers that were killed and can't end, until they do.</summary>
/// <remarks>For one thread. Each keeps its memory locked and its descriptors open as long, so there is room for few.</remarks>
internal sealed class LeftBehind(Action<string> log) : IDisposable
{
    internal const int Room = 8;

    private readonly (int Process, bool IsAlone, SafeFileHandle? Watched)[] _workers = new (int, bool, SafeFileHandle?)[Room];

    internal bool HasRoom => Array.Exists(_workers, static worker => worker.Watched is null);

    /// <summary>What to wait for in a worker's stead; -1 when none is in this place.</summary>
    internal int this[int place] => _workers[place].Watched is { } watched ? (int)watched.DangerousGetHandle() : -1;

    /// <summary>Takes one up; there is room.</summary>
    internal void Add(int process, bool isAlone, SafeFileHandle watched)
    {
        _workers[Array.FindIndex(_workers, static worker => worker.Watched is null)] = (process, isAlone, watched);
        log(string.Create(
            CultureInfo.InvariantCulture,
            $"worker {process} was killed and can't end: it waits in the kernel for a disk that does not answer, and that is not the origin's. It is left behind{(isAlone ? "" : ", and full service has to wait until it has ended")}"));
    }

    /// <summary>One has ended.</summary>
    /// <returns>Whether it had been alone.</returns>
    internal bool Reap(int place)
    {
        (int process, bool isAlone, SafeFileHandle? watched) = _workers[place];
        ChildProgram.WaitForEnd(process);
        watched!.Dispose();
        _workers[place] = default;
        log(string.Create(CultureInfo.InvariantCulture, $"worker {process}, which had been left behind, has ended"));
        return isAlone;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach ((_, _, SafeFileHandle? watched) in _workers)
        {
            watched?.Dispose();
        }
    }
}
