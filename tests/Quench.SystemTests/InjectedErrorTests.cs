using System.Text.RegularExpressions;
using Quench.SystemTests.Harness;
using Quench.SystemTests.Kills;
using Xunit;

namespace Quench.SystemTests;

/// <summary>
/// The real command line on a kernel that fails: strace answers some system calls in its place. The same is done call by call inside the tests
/// (IoFaultTests); here is shown that nothing between the command line and the kernel hides it.
/// </summary>
public sealed partial class InjectedErrorTests
{
    [Theory]
    [InlineData("backup", "fsync", "error=EIO:when=1")]
    [InlineData("backup", "fsync", "error=EIO:when=3+")]
    [InlineData("backup", "pwrite64", "error=ENOSPC:when=1")]
    [InlineData("backup", "pwrite64", "error=EDQUOT:when=2+")]
    [InlineData("backup", "renameat2", "error=EIO:when=1+")]
    [InlineData("backup", "getdents64", "error=EIO:when=1+", "main/index")]
    [InlineData("backup", "openat,open", "error=EMFILE:when=1+", "main/points")]
    [InlineData("copy", "fsync", "error=EIO:when=1")]
    [InlineData("copy", "renameat2", "error=ENOSPC:when=1")]
    public async Task A_command_that_the_kernel_fails_says_so_and_has_promised_nothing(string scenario, string call, string fault, string? path = null)
    {
        (KillLab lab, ProcessResult result) = await RunAsync(scenario, call, fault, path);
        using (lab)
        {
            Assert.True(result.ExitCode == 1, result.ToString());
            Assert.Matches(Code(), result.Error);
            await lab.DemandAsync($"{scenario} with {call}: {fault}");
            await lab.RunAsync(KillScenario.All[scenario].Command(lab));
            await lab.DemandAsync($"{scenario} again");
        }
    }

    [Theory]
    [InlineData("backup", "pwrite64")]
    [InlineData("backup", "pread64", "main/format")]
    [InlineData("copy", "flock")]
    public async Task An_interrupted_call_is_made_again(string scenario, string call, string? path = null)
    {
        (KillLab lab, ProcessResult result) = await RunAsync(scenario, call, "error=EINTR:when=1", path);
        using (lab)
        {
            Assert.True(result.ExitCode == 0, result.ToString());
            await lab.DemandAsync($"{scenario} with {call} interrupted");
        }
    }

    /// <summary>Runs a command under strace.</summary>
    /// <param name="scenario">Which.</param>
    /// <param name="call">The calls to answer.</param>
    /// <param name="fault">How; calls are counted for each thread.</param>
    /// <param name="path">Only on this file or folder of the lab: for calls that the runtime makes before us.</param>
    private static async Task<(KillLab Lab, ProcessResult Result)> RunAsync(string scenario, string call, string fault, string? path)
    {
        Requires.Tool("strace");
        KillLab lab = await KillLab.CreateAsync(new Random(Chance.Seeds(1).Single()));
        try
        {
            await lab.BackUpAsync();
            string[] options = ["-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", $"trace={call}", "-e", $"inject={call}:{fault}", .. path is null ? [] : (string[])["-P", lab[path]]];
            ProcessResult result = await lab.TryUnderAsync("strace", options, KillScenario.All[scenario].Command(lab));
            Assert.SkipWhen(result.Error.Contains("ptrace", StringComparison.Ordinal), $"strace may not trace here: {result.Error}");
            return (lab, result);
        }
        catch
        {
            lab.Dispose();
            throw;
        }
    }

    [GeneratedRegex("code: (VAULT|CLI)-[0-9]{3}")]
    private static partial Regex Code();
}
