using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.Interop.Memory;

namespace Quench.SystemTests.Stamps;

/// <summary>
/// Stamps a field on a thread of its own, one block after the other, each made durable before the next is begun, until it is stopped.
/// So at any instant the disk below holds all stamps up to some k, and perhaps k + 1.
/// </summary>
internal sealed class StampWriter : IDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    private readonly SafeFileHandle _file;
    private readonly Thread _thread;
    private readonly object _gate = new(); // guards the four below
    private long _issued;
    private long _acknowledged;            // ≤ _issued ≤ _acknowledged + 1
    private Exception? _failure;
    private bool _stopping;

    private StampWriter(StampField field, SafeFileHandle file)
    {
        Field = field;
        _file = file;
        _thread = new Thread(Run) { IsBackground = true, Name = "stamps" };
        _thread.Start();
    }

    internal StampField Field { get; }

    /// <summary>The last stamp whose writing has begun.</summary>
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

    /// <summary>The last stamp that is durable.</summary>
    internal long Acknowledged
    {
        get
        {
            lock (_gate)
            {
                return _acknowledged;
            }
        }
    }

    /// <summary>Makes a file of the field's length and begins to stamp it.</summary>
    /// <param name="path">A path that does not exist.</param>
    /// <param name="field">The field.</param>
    /// <param name="written">Write its zeros out first; otherwise the file is a hole, and the first stamp of a block changes metadata too.</param>
    internal static StampWriter OnNewFile(string path, StampField field, bool written)
    {
        SafeFileHandle file = NativeFile.Open(path, OpenMode.ReadWrite | OpenMode.Create | OpenMode.Exclusive);
        NativeFile.SetLength(file, field.Length);
        byte[] zeros = new byte[1 << 20];
        for (long at = 0; written && at < field.Length; at += zeros.Length)
        {
            NativeFile.Write(file, zeros.AsSpan(0, (int)Math.Min(zeros.Length, field.Length - at)), at);
        }

        NativeFile.Sync(file);
        return new StampWriter(field, file);
    }

    /// <summary>Begins to stamp a device from its start, past the page cache.</summary>
    internal static StampWriter OnDevice(string path, StampField field) =>
        new(field, NativeFile.Open(path, OpenMode.ReadWrite | OpenMode.Direct));

    /// <summary>Waits until so many more stamps are durable.</summary>
    internal Task MoreAsync(long stamps) => Task.Run(() =>
    {
        lock (_gate)
        {
            long target = _acknowledged + stamps;
            while (_acknowledged < target && !_stopping)
            {
                ThrowIfFailed();
                if (!Monitor.Wait(_gate, s_limit))
                {
                    throw new TimeoutException($"stamp {_issued} was not acknowledged within {s_limit.TotalSeconds:0} s");
                }
            }

            ThrowIfFailed();
        }
    });

    /// <summary>Stops after the stamp in work.</summary>
    /// <exception cref="IOException">The volume refused a write: it must never.</exception>
    internal void Stop()
    {
        lock (_gate)
        {
            _stopping = true;
        }

        if (!_thread.Join(s_limit))
        {
            throw new TimeoutException("the writer hangs in the volume");
        }

        _file.Dispose();
        ThrowIfFailed();
    }

    /// <summary>Stops it if nobody has; quiet, because a failure has been told already or is not the first one.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _stopping = true;
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
                NativeFile.Write(_file, block.GetSpan(), (long)Field.PlaceOf(k) * StampField.BlockSize);
                NativeFile.SyncData(_file);
                Acknowledge(k);
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
            _issued = _stopping ? _issued : k;
            return !_stopping;
        }
    }

    private void Acknowledge(long k)
    {
        lock (_gate)
        {
            _acknowledged = k;
            Monitor.PulseAll(_gate);
        }
    }

    private void ThrowIfFailed()
    {
        if (_failure is not null)
        {
            throw new IOException($"the volume failed its writer: {_failure.Message}", _failure);
        }
    }
}
