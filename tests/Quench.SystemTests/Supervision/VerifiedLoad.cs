using System.Diagnostics;
using System.Globalization;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Supervision;

/// <summary>
/// fio that writes, reads back and checks each block (crc32c) while things happen below it; one run after the other, until told to end. The first error
/// of one ends them all.
/// </summary>
internal sealed class VerifiedLoad : IAsyncDisposable
{
    private const int SecondsOfRun = 5;

    private readonly string[] _words;
    private readonly int _seed;
    private readonly Task _work;
    private volatile bool _ends;
    private volatile ProcessRun? _run; // the one that is under way

    /// <summary>Begins.</summary>
    /// <param name="path">A new file on the volume.</param>
    /// <param name="direct">Past the page cache; otherwise through it, with a sync now and then.</param>
    /// <param name="seed">Decides where it writes, with the run's number.</param>
    internal VerifiedLoad(string path, bool direct, int seed)
    {
        string[] how = direct ? ["--direct=1", "--ioengine=libaio", "--iodepth=8"] : ["--direct=0", "--ioengine=psync", "--fsync=64"];
        _words = [
            "--name=load", $"--filename={path}", "--size=24m", "--rw=randrw", "--rwmixread=30", "--bsrange=4k-64k", "--bs_unaligned=0", "--blockalign=4k",
            "--verify=crc32c", "--verify_fatal=1", "--verify_backlog=128", "--time_based", string.Create(CultureInfo.InvariantCulture, $"--runtime={SecondsOfRun}"),
            "--output-format=terse", "--thread", .. how]; // one process: a child whose parent is killed waits for ever
        _seed = seed;
        _work = RunAsync();
    }

    /// <summary>Whether fio runs at this moment.</summary>
    internal bool IsAtWork => _run is { HasExited: false };

    /// <summary>Waits for its end; demands that it saw no I/O error and no wrong byte.</summary>
    internal async Task DemandCleanAsync()
    {
        _ends = true;
        await _work;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _ends = true;
        if (_run is { } run)
        {
            await run.KillAfterAsync(TimeSpan.Zero);
        }

        await _work.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // DemandCleanAsync tells what went wrong
    }

    private async Task RunAsync()
    {
        for (int number = 0; number == 0 || !_ends; number++)
        {
            using ProcessRun run = ProcessRun.Start(new ProcessStartInfo("fio", [.. _words, string.Create(CultureInfo.InvariantCulture, $"--randseed={_seed + number}")]));
            _run = run;
            ProcessResult result = await run.EndAsync(TimeSpan.FromSeconds(150));
            _run = null;
            Assert.True(result.ExitCode == 0 && !result.Error.Contains("verify", StringComparison.Ordinal), result.ToString());
        }
    }
}
