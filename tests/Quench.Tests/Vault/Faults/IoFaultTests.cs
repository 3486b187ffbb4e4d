using System.Globalization;
using System.Text.RegularExpressions;
using Quench.Blocks;
using Quench.Interop.Linux;
using Xunit;

namespace Quench.Tests.Vault.Faults;

/// <summary>
/// The n-th system call below the local directory fails, for n = 1, 2, … until none fails any more, in each way in which it can. Every seventeenth n is tried
/// unless QUENCH_IO_STRIDE says otherwise; 1 is all of them.
/// </summary>
public sealed partial class IoFaultTests
{
    private static readonly int s_stride =
        int.TryParse(Environment.GetEnvironmentVariable("QUENCH_IO_STRIDE"), CultureInfo.InvariantCulture, out int stride) && stride > 0 ? stride : 17;

    private static readonly ParallelOptions s_lanes = new() { MaxDegreeOfParallelism = Environment.ProcessorCount };

    public static TheoryData<string> Scenarios =>
        [.. IoScenario.All.Keys.Where(name => name.StartsWith(Environment.GetEnvironmentVariable("QUENCH_SCENARIO") ?? "", StringComparison.Ordinal))];

    [Theory]
    [MemberData(nameof(Scenarios))]
    public async Task Whatever_system_call_fails_nothing_is_acknowledged_that_is_not_so(string scenario)
    {
        Assert.SkipUnless(FaultPoint.Exists, "needs a debug build");
        int phase = TestSeed.NewRandom().Next(s_stride);
        using IoLab start = await IoLab.CreateAsync(IoScenario.All[scenario]);
        int runs = 0;
        int failed = 0;
        await Parallel.ForEachAsync(IoFaultKind.All, s_lanes, async (kind, _) =>
        {
            bool fired = true;
            for (int n = 1 + phase; fired; n += s_stride)
            {
                (fired, bool acknowledged) = await FailAsync(scenario, start, kind, n);
                Interlocked.Increment(ref runs);
                Interlocked.Add(ref failed, acknowledged ? 0 : 1);
            }
        });
        TestContext.Current.TestOutputHelper?.WriteLine($"{scenario}: {runs} runs with a failing call (stride {s_stride}), {failed} of them failed as they should");
        Assert.True(failed > 0);
    }

    /// <summary>Lets one call fail and demands all that must hold then.</summary>
    /// <returns>Whether there was such a call, and whether the work came to its end all the same.</returns>
    private static async Task<(bool Fired, bool Acknowledged)> FailAsync(string scenario, IoLab start, IoFaultKind kind, int number)
    {
        string what = $"{scenario}: {kind} at call {number}";
        using IoLab lab = IoLab.CopyOf(start);
        IoFault fault = new(kind, number);
        await RunAsync(scenario, lab, fault, what);
        bool acknowledged = lab.Acknowledged;
        Assert.True(acknowledged || !kind.IsAbsorbed, $"{what} was not absorbed");
        Assert.False(acknowledged && fault.HitSync, $"{what}: the sync of {fault.SyncedPath} failed and all was said to be well");
        Assert.Null(fault.NamedUnsynced);
        await GoOnAsync(scenario, lab);
        return (fault.Fired, acknowledged);
    }

    [Theory]
    [MemberData(nameof(Scenarios))]
    public async Task Transfers_that_are_cut_short_are_finished(string scenario)
    {
        Assert.SkipUnless(FaultPoint.Exists, "needs a debug build");
        using IoLab lab = await IoLab.CreateAsync(IoScenario.All[scenario]);
        await UnderAsync(new ShortTransfers(TestSeed.NewRandom().Next()), () => IoScenario.All[scenario].Work(lab));
        Assert.True(lab.Acknowledged);
        await lab.DemandAsync();
    }

    [Fact]
    public async Task A_sync_error_that_is_hidden_is_what_these_tests_would_catch()
    {
        Assert.SkipUnless(FaultPoint.Exists, "needs a debug build");
        using IoLab lab = await IoLab.CreateAsync(IoScenario.All["backup"]);
        HiddenSyncErrors hidden = new();
        await UnderAsync(hidden, () => lab.BackupAsync());
        Assert.True(lab.Acknowledged && hidden.HitSync, "what is refused above would have been there to see");
    }

    [Fact]
    public async Task The_scenarios_reach_every_place_where_the_local_directory_calls_the_system()
    {
        Assert.SkipUnless(FaultPoint.Exists, "needs a debug build");
        string[] paths = Directory.GetFiles(Path.Combine(VaultLab.RepositoryRoot(), "src/Quench.Vault/Stores"), "LocalDirectory*.cs");
        CallSites sites = new([.. paths.Select(path => Path.GetFileName(path))]);
        foreach (IoScenario scenario in IoScenario.All.Values)
        {
            using IoLab lab = await IoLab.CreateAsync(scenario);
            await UnderAsync(sites, () => scenario.Work(lab));
        }

        List<string> missed = [];
        int calls = 0;
        foreach (string path in paths)
        {
            string[] source = await File.ReadAllLinesAsync(path, TestContext.Current.CancellationToken);
            foreach (int line in Enumerable.Range(1, source.Length).Where(line => SystemCall().IsMatch(source[line - 1]) && !OnlyOnFailure(source, line)))
            {
                calls++;
                if (!sites.Reached(Path.GetFileName(path), line))
                {
                    missed.Add($"never reached, {path}:{line}: {source[line - 1].Trim()}");
                }
            }
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{calls} call sites, {calls - missed.Count} reached");
        Assert.Empty(missed);
        Assert.True(calls >= 20);
    }

    /// <summary>What is called only when something else has failed is reached by the faults themselves.</summary>
    private static bool OnlyOnFailure(string[] source, int line) =>
        source.Take(line).Reverse().First(text => MethodHead().IsMatch(text)).Contains("Abandon(", StringComparison.Ordinal);

    /// <summary>The work is done again where it has failed, nothing fails any more, and every promise is kept.</summary>
    private static async Task GoOnAsync(string scenario, IoLab lab)
    {
        if (!lab.Acknowledged && IoScenario.All[scenario].CanBeRepeated)
        {
            await lab.DemandKeptAsync();
            await IoScenario.All[scenario].Work(lab);
            Assert.True(lab.Acknowledged);
        }

        await lab.DemandAsync();
    }

    private static async Task RunAsync(string scenario, IoLab lab, IoFault fault, string what)
    {
        try
        {
            await UnderAsync(fault, () => IoScenario.All[scenario].Work(lab));
        }
        catch (QuenchException failure)
        {
            Assert.Matches("^[A-Z]+-[0-9]{3}$", failure.Code);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            Assert.Fail($"{what}: a bare {failure}");
        }
    }

    private static async Task UnderAsync(IIoFaults faults, Func<Task> work)
    {
        FaultPoint.Set(faults); // for this method and what it calls: it does not flow back to the caller
        await work();
    }

    [GeneratedRegex(@"\b(NativeFile|AdvisoryLock)\.\w+\(")]
    private static partial Regex SystemCall();

    [GeneratedRegex(@"^    (private|public|internal) .*\(")]
    private static partial Regex MethodHead();
}
