using System.Diagnostics;
using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.SystemTests.Harness;

namespace Quench.SystemTests.Tracked;

/// <summary>Files that come and go at a rate, with holes punched into them, so that a volume that is mounted with discards has many of them; ext4 also discards all that is free now and then.</summary>
internal sealed class Churn : IAsyncDisposable
{
    private const int Files = 16;
    private const int MaxBytes = 1 << 20;
    private const int TrimEvery = 64;

    private readonly string _folder;
    private readonly Random _random;
    private readonly bool _trims;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _work;

    internal Churn(string folder, int megabytesPerSecond, Random random, bool trims)
    {
        (_folder, _random, _trims) = (folder, random, trims);
        _work = Task.Run(() => RunAsync(megabytesPerSecond * 1048576.0));
    }

    /// <summary>Whether it still goes on; it ends by itself only when the volume fails it.</summary>
    internal bool IsRunning => !_work.IsCompleted;

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _work;
        _stop.Dispose();
    }

    private async Task RunAsync(double bytesPerSecond)
    {
        byte[] bytes = new byte[MaxBytes];
        _random.NextBytes(bytes);
        using PeriodicTimer pace = new(TimeSpan.FromMilliseconds(10));
        long since = Stopwatch.GetTimestamp();
        double written = 0;
        for (int round = 1; !_stop.IsCancellationRequested; round++)
        {
            written += ReplaceOne(bytes);
            if (_trims && round % TrimEvery == 0)
            {
                await Tool.RunAsync("fstrim", _folder);
            }

            while (written > bytesPerSecond * Stopwatch.GetElapsedTime(since).TotalSeconds && !_stop.IsCancellationRequested)
            {
                await pace.WaitForNextTickAsync(CancellationToken.None);
            }
        }
    }

    private int ReplaceOne(byte[] bytes)
    {
        string path = Path.Combine(_folder, string.Create(CultureInfo.InvariantCulture, $"churn-{_random.Next(Files)}"));
        File.Delete(path);
        using SafeFileHandle file = NativeFile.Open(path, OpenMode.WriteOnly | OpenMode.Create);
        int length = _random.Next(4096, MaxBytes);
        NativeFile.Write(file, bytes.AsSpan(0, length), 0);
        NativeFile.SyncData(file);
        if (_random.Next(3) == 0)
        {
            NativeFile.TryPunchHole(file, _random.Next(length), _random.Next(1, length));
        }

        return length;
    }
}
