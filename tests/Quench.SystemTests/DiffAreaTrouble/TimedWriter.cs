using System.Diagnostics;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.Interop.Memory;
using Quench.SystemTests.Stamps;

namespace Quench.SystemTests.DiffAreaTrouble;

/// <summary>
/// Production: stamps a device past the page cache, one block after the other, and notes how long each write took. Any error of the device is kept, and is what
/// the test is about.
/// </summary>
internal sealed class TimedWriter : IDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    private readonly SafeFileHandle _file;
    private readonly Thread _thread;
    private readonly object _gate = new(); // a monitor; guards the six below
    private long _issued;
    private long _written;
    private bool _isStopping;
    private Exception? _failure;
    private List<double> _milliseconds = [];
    private long _target = long.MaxValue; // where it pauses

    internal TimedWriter(string device, StampField field)
    {
        Field = field;
        _file = NativeFile.Open(device, OpenMode.ReadWrite | OpenMode.Direct);
        _thread = new Thread(Run) { IsBackground = true, Name = "production" };
        _thread.Start();
    }

    internal StampField Field { get; }

    internal long Issued
    {
        get
        {
            lock (_gate)
            {
                return _issued;
            }
        }
    }

    internal long Written
    {
        get
        {
            lock (_gate)
            {
                return _written;
            }
        }
    }

    /// <summary>Takes the times of the writes since the last call.</summary>
    internal List<double> TakeTimes()
    {
        lock (_gate)
        {
            List<double> taken = _milliseconds;
            _milliseconds = [];
            return taken;
        }
    }

    /// <summary>Lets so many more writes happen, waits for them, and stands still then.</summary>
    internal Task WriteAsync(long writes) => Task.Run(() =>
    {
        lock (_gate)
        {
            _target = _written + writes;
            Monitor.PulseAll(_gate);
            while (_written < _target)
            {
                ThrowIfFailed();
                if (!Monitor.Wait(_gate, s_limit))
                {
                    throw new TimeoutException($"write {_issued} has not ended after {s_limit.TotalSeconds:0} s");
                }
            }
        }
    });

    /// <summary>Writes on and on.</summary>
    internal void GoOn()
    {
        lock (_gate)
        {
            _target = long.MaxValue;
            Monitor.PulseAll(_gate);
        }
    }

    internal void ThrowIfFailed()
    {
        if (_failure is not null)
        {
            throw new IOException($"production saw an error: {_failure.Message}", _failure);
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _isStopping = true;
            Monitor.PulseAll(_gate);
        }

        if (_thread.Join(s_limit))
        {
            _file.Dispose();
        }
    }

    private void Run()
    {
        using NativeBuffer block = new(StampField.BlockSize);
        try
        {
            for (long k = 1; Begin(k); k++)
            {
                Field.Encode(block.GetSpan(), k);
                long since = Stopwatch.GetTimestamp();
                NativeFile.Write(_file, block.GetSpan(), (long)Field.PlaceOf(k) * StampField.BlockSize);
                End(k, Stopwatch.GetElapsedTime(since));
            }
        }
        catch (IOException failure)
        {
            lock (_gate)
            {
                _failure = failure;
                Monitor.PulseAll(_gate);
            }
        }
    }

    private bool Begin(long k)
    {
        lock (_gate)
        {
            while (!_isStopping && _written >= _target)
            {
                Monitor.Wait(_gate);
            }

            _issued = _isStopping ? _issued : k;
            return !_isStopping;
        }
    }

    private void End(long k, TimeSpan took)
    {
        lock (_gate)
        {
            _written = k;
            _milliseconds.Add(took.TotalMilliseconds);
            Monitor.PulseAll(_gate);
        }
    }
}
