using System.Diagnostics;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Xunit;

namespace Quench.Tests.Interop;

/// <summary>
/// The disk fails while syncing: strace makes the kernel's answer EIO in a child process. This is the test behind docs/decisions/0002.
/// </summary>
public sealed class HiddenSyncErrorTests
{
    private const string Sentinel = "QUENCH_SYNC_PROBE"; // where the child writes what it saw

    [Fact]
    public async Task A_failing_disk_is_heard_through_our_layer()
    {
        Requires.Tool("strace");
        using TemporaryDirectory directory = new();
        ProcessStartInfo start = new(Requires.FindTool("strace")!)
        {
            ArgumentList =
            {
                "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO",
                Environment.ProcessPath!, "--filter-method", $"*{nameof(Probe_in_the_child)}", "--explicit", "only",
            },
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { [Sentinel] = directory["seen"] },
        };
        using Process child = Process.Start(start)!;
        string output = await child.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await child.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.SkipUnless(File.Exists(directory["seen"]), $"strace may not trace here: {output}");
        string[] seen = await File.ReadAllLinesAsync(directory["seen"], TestContext.Current.CancellationToken);
        Assert.Equal("ours: EIO EIO EIO", seen[0]);
        TestContext.Current.TestOutputHelper?.WriteLine($"the base library: {seen[1]}");
    }

    [Fact(Explicit = true)]
    [Trait("Kind", "Probe")]
    public void Probe_in_the_child()
    {
        string report = Environment.GetEnvironmentVariable(Sentinel) ?? throw new InvalidOperationException("runs only under the test above");
        using SafeFileHandle file = NativeFile.Open(report + ".data", OpenMode.ReadWrite | OpenMode.Create);
        NativeFile.Write(file, new byte[100], 0);
        string ours = $"{Seen(() => NativeFile.Sync(file))} {Seen(() => NativeFile.SyncData(file))} "
            + Seen(() => NativeFile.SyncDirectory(Path.GetDirectoryName(report)!));
#pragma warning disable RS0030 // banned for the very reason that is shown here
        string theirs = Seen(() => RandomAccess.FlushToDisk(file));
#pragma warning restore RS0030
        File.WriteAllLines(report, [$"ours: {ours}", theirs]);
    }

    private static string Seen(Action sync)
    {
        try
        {
            sync();
            return "nothing";
        }
        catch (LinuxErrorException failure)
        {
            return failure.Errno.ToString();
        }
        catch (IOException failure)
        {
            return failure.GetType().Name;
        }
    }
}
