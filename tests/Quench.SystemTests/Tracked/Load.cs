using System.Globalization;
using System.Diagnostics;
using Quench.SystemTests.Harness;

namespace Quench.SystemTests.Tracked;

/// <summary>How a volume is written meanwhile.</summary>
internal enum LoadKind
{
    /// <summary>Through the page cache.</summary>
    Buffered,

    /// <summary>Past it, eight requests in flight.</summary>
    Direct,

    /// <summary>Through memory that is mapped from the file.</summary>
    Mapped,

    /// <summary>A flush after every fourth write.</summary>
    Synced,

    /// <summary>Files that come and go, and whose room is discarded.</summary>
    Discard,

    /// <summary>A database that commits, beside buffered writes at the rate.</summary>
    Sqlite,
}

/// <summary>fio, writing 4 KiB to 64 KiB at random into a file of the volume at a rate, until it is stopped.</summary>
internal sealed class Load : IAsyncDisposable
{
    private const int Mebibyte = 1 << 20;
    private readonly ProcessRun _fio;

    private Load(ProcessRun fio) => _fio = fio;

    internal static Load Start(string mountPoint, LoadKind kind, int megabytes, int megabytesPerSecond) => new(ProcessRun.Start(new ProcessStartInfo(
        "fio",
        [
            "--name=load", "--rw=randwrite", "--bsrange=4k-64k", "--time_based", "--runtime=600", "--thread", "--fallocate=none",
            $"--filename={Path.Combine(mountPoint, "load")}",
            string.Create(CultureInfo.InvariantCulture, $"--size={(long)megabytes * Mebibyte}"),
            string.Create(CultureInfo.InvariantCulture, $"--rate={(long)megabytesPerSecond * Mebibyte}"),
            .. Engine(kind),
        ])));

    /// <summary>Whether it still writes: a load that died has shown nothing.</summary>
    internal bool IsRunning => !_fio.HasExited;

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _fio.KillAfterAsync(TimeSpan.Zero);
        _fio.Dispose();
    }

    private static IEnumerable<string> Engine(LoadKind kind) => kind switch
    {
        LoadKind.Direct => ["--ioengine=libaio", "--direct=1", "--iodepth=8"],
        LoadKind.Mapped => ["--ioengine=mmap"],
        LoadKind.Synced => ["--ioengine=psync", "--fdatasync=4"],
        _ => ["--ioengine=psync"],
    };
}
