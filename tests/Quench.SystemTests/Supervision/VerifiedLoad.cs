using System.Diagnostics;
using System.Globalization;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Supervision;

/// <summary>fio that writes, reads back and checks each block (crc32c) while things happen below it. Its first error ends it with an exit code.</summary>
internal sealed class VerifiedLoad : IDisposable
{
    private readonly ProcessRun _run;

    /// <summary>Begins.</summary>
    /// <param name="path">A new file on the volume.</param>
    /// <param name="direct">Past the page cache; otherwise through it, with a sync now and then.</param>
    /// <param name="seconds">How long it writes.</param>
    /// <param name="seed">Decides where.</param>
    internal VerifiedLoad(string path, bool direct, int seconds, int seed)
    {
        string[] how = direct ? ["--direct=1", "--ioengine=libaio", "--iodepth=8"] : ["--direct=0", "--ioengine=psync", "--fsync=64"];
        _run = ProcessRun.Start(new ProcessStartInfo("fio", [
            "--name=load", $"--filename={path}", "--size=24m", "--rw=randrw", "--rwmixread=30", "--bsrange=4k-64k", "--bs_unaligned=0", "--blockalign=4k",
            "--verify=crc32c", "--verify_fatal=1", "--verify_backlog=128", "--time_based", string.Create(CultureInfo.InvariantCulture, $"--runtime={seconds}"),
            string.Create(CultureInfo.InvariantCulture, $"--randseed={seed}"), "--output-format=terse", .. how]));
    }

    internal bool HasEnded => _run.HasExited;

    /// <summary>Waits for its end; demands that it saw no I/O error and no wrong byte.</summary>
    internal async Task DemandCleanAsync()
    {
        ProcessResult result = await _run.EndAsync(TimeSpan.FromSeconds(150));
        Assert.True(result.ExitCode == 0 && !result.Error.Contains("verify", StringComparison.Ordinal), result.ToString());
    }

    /// <inheritdoc/>
    public void Dispose() => _run.Dispose();
}
