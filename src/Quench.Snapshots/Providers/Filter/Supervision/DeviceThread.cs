using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.Interop.Loop;

namespace Quench.Snapshots.Providers.Filter.Supervision;

/// <summary>What the device's thread has to say to the holder's.</summary>
internal enum DeviceWord
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>The device could not be attached.</summary>
    NotAttached,

    /// <summary>The device was detached.</summary>
    Gone,

    /// <summary>The device is in use.</summary>
    Busy,
}

/// <summary>
/// The thread that attaches and detaches the block device. Both calls may wait for I/O of the very volume, and so for a worker: the holder's own
/// thread must not wait for that, and no worker may, because it could not be killed meanwhile.
/// </summary>
internal sealed class DeviceThread : IDisposable
{
    private readonly Func<string> _attach;
    private readonly Action<Exception> _report;
    private readonly ManualResetEventSlim _serving = new(initialState: false);
    private readonly AutoResetEvent _detach = new(initialState: false);
    private readonly SafeFileHandle _out;

    /// <summary>Begins to wait for a worker that serves.</summary>
    /// <param name="attach">Attaches the device, tells the world, and returns its path.</param>
    /// <param name="report">Told of what nobody waits for.</param>
    internal DeviceThread(Func<string> attach, Action<Exception> report)
    {
        _attach = attach;
        _report = report;
        (Words, _out) = MessagePair.Create();
        new Thread(Run) { IsBackground = true, Name = "device" }.Start();
    }

    /// <summary>Why there is no device; null when there is one. Set before that is said.</summary>
    internal Exception? NotAttached { get; private set; }

    /// <summary>Can be read when there is something to hear.</summary>
    internal SafeFileHandle Words { get; }

    /// <summary>A worker serves: the device can be attached.</summary>
    internal void TellServing() => _serving.Set();

    /// <summary>Detach it.</summary>
    internal void Detach() => _detach.Set();

    internal DeviceWord Hear()
    {
        Span<byte> word = stackalloc byte[1];
        return MessagePair.Receive(Words, word, wait: false) == 1 ? (DeviceWord)word[0] : DeviceWord.None;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _out.Dispose();
        Words.Dispose();
    }

    private void Run()
    {
        string device;
        _serving.Wait();
        try
        {
            device = _attach();
        }
#pragma warning disable CA1031 // whatever kept the device from being attached is told to the one who asked for it
        catch (Exception failure)
        {
            NotAttached = failure;
            Say(DeviceWord.NotAttached);
            return;
        }
#pragma warning restore CA1031

        while (_detach.WaitOne())
        {
            Say(TryDetach(device) ? DeviceWord.Gone : DeviceWord.Busy);
        }
    }

    private bool TryDetach(string device)
    {
        try
        {
            return LoopDevice.TryDetach(device);
        }
        catch (LinuxErrorException failure)
        {
            _report(failure);
            return false;
        }
    }

    private void Say(DeviceWord word) => MessagePair.TrySend(_out, [(byte)word]);
}
