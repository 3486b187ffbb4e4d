using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.Snapshots.Providers.Filter.Supervision;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>
/// Makes a spill file, on a thread of its own, because a folder on a disk that does not answer would hold up whoever opens it. The file has no name (it is unlinked as
/// soon as it is open), so that nothing is left of it whoever dies.
/// </summary>
internal sealed class SpillOpening
{
    private readonly string _folder;
    private readonly Board? _board;
    private readonly object _gate = new(); // a monitor; guards the four below
    private SafeFileHandle? _file;
    private IOException? _failure;
    private bool _hasEnded;
    private bool _isAbandoned;

    private SpillOpening(string folder, Board? board)
    {
        _folder = folder;
        _board = board;
    }

    /// <summary>Makes one.</summary>
    /// <param name="folder">Where.</param>
    /// <param name="limit">How long to wait; a file that comes later is closed again by the thread that opened it.</param>
    /// <param name="board">Told that a thread is in the kernel for that; null for nobody.</param>
    /// <exception cref="IOException">It can't be made there, or not in time.</exception>
    internal static SafeFileHandle Run(string folder, TimeSpan limit, Board? board = null)
    {
        SpillOpening opening = new(folder, board);
        new Thread(opening.Open) { IsBackground = true, Name = "spill-open" }.Start();
        return opening.Wait(limit);
    }

    private SafeFileHandle Wait(TimeSpan limit)
    {
        lock (_gate)
        {
            if (!_hasEnded && !Monitor.Wait(_gate, limit) && !_hasEnded)
            {
                _isAbandoned = true;
                throw new IOException($"{_folder} did not answer within {limit.TotalSeconds:0.#} s");
            }

            return _file ?? throw new IOException(_failure!.Message, _failure);
        }
    }

    private void Open()
    {
        SafeFileHandle? file = null;
        IOException? failure = null;
        _board?.BeginSpill();
        try
        {
            file = OpenUnnamed(_folder);
        }
        catch (IOException trouble)
        {
            failure = trouble;
        }

        _board?.EndSpill();
        lock (_gate)
        {
            (_file, _failure, _hasEnded) = (file, failure, true);
            Monitor.Pulse(_gate);
            if (!_isAbandoned)
            {
                return;
            }
        }

        file?.Dispose();
    }

    private static SafeFileHandle OpenUnnamed(string folder)
    {
        string path = Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $".quench-diff-{Environment.ProcessId}-{Guid.NewGuid():N}"));
        const OpenMode Mode = OpenMode.ReadWrite | OpenMode.Create | OpenMode.Exclusive;
        SafeFileHandle file;
        try
        {
            file = NativeFile.Open(path, Mode | OpenMode.Direct);
        }
        catch (LinuxErrorException failure) when (failure.Errno == Errno.EINVAL)
        {
            File.Delete(path); // the name is there although direct I/O was refused
            file = NativeFile.Open(path, Mode);
        }

        File.Delete(path);
        return file;
    }
}
