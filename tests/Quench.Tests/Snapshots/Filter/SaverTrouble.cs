using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Xunit;

namespace Quench.Tests.Snapshots.Filter;

/// <summary>Stands between the threads of a spill file, or of a store, and the kernel: answers one kind of call late, with an error, or not at all until it is let.</summary>
internal sealed class SaverTrouble : IIoFaults, IDisposable
{
    private readonly IoCall _call;
    private readonly ManualResetEventSlim _open = new(initialState: true);
    private readonly ManualResetEventSlim _hasCaller = new();
    private volatile int _error;
    private volatile int _late; // milliseconds

    private SaverTrouble(IoCall call) => _call = call;

    internal static SaverTrouble Install(IoCall call)
    {
        Assert.SkipUnless(FaultPoint.Exists, "fault points are in debug builds only");
        SaverTrouble trouble = new(call);
        FaultPoint.Set(trouble); // the threads that are started from now on inherit it
        return trouble;
    }

    internal void Hang() => _open.Reset();

    internal void Let() => _open.Set();

    /// <summary>A disk that works and is slow.</summary>
    internal void Slow(TimeSpan each) => _late = (int)each.TotalMilliseconds;

    internal void Fail(Errno error) => _error = (int)error;

    internal void WaitForCaller() => Assert.True(_hasCaller.Wait(TimeSpan.FromSeconds(20)));

    public int? Answer(IoCall call, string? path, SafeFileHandle? file)
    {
        if (call == _call && Thread.CurrentThread.Name is "spill-saver" or "spill-reader" or "store-saver")
        {
            if (!_open.IsSet)
            {
                _hasCaller.Set();
                _open.Wait();
            }

            if (_late > 0)
            {
                using ManualResetEventSlim never = new();
                never.Wait(_late);
            }

            return _error == 0 ? null : _error;
        }

        return null;
    }

    public int Shorten(IoCall call, int length) => length;

    public void Dispose()
    {
        FaultPoint.Set(null);
        _open.Set();
    }
}
