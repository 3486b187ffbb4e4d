using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Quench.Interop.Bpf;
using Quench.Interop.Linux;
using Xunit;

namespace Quench.Tests.Interop.Bpf;

/// <summary>Programs in the running kernel.</summary>
public sealed class BpfProgramTests
{
    private const int SIGWINCH = 28;

    /// <summary>The kernel breaks the check of a program off when the thread gets a signal, and the runtime's own may come at any time.</summary>
    [Fact]
    public void Signals_do_not_keep_a_program_from_being_loaded()
    {
        const int Loads = 10;
        Requires.Root();
        ulong[] code = TakesLongToCheck();
        using PosixSignalRegistration caught = PosixSignalRegistration.Create((PosixSignal)SIGWINCH, static context => context.Cancel = true);
        int thread = ThisThread();
        for (int load = 0; load < Loads; load++)
        {
            Thread signals = new(() => Signal(thread, times: 3));
            signals.Start();
            BpfProgram.Load("signalled", code).Dispose();
            signals.Join();
        }
    }

    /// <summary>Counts to a number, step by step, as the checker must too.</summary>
    private static ulong[] TakesLongToCheck()
    {
        BpfAssembler code = new();
        BpfLabel again = new();
        code.Move(BpfRegister.R6, 0);
        code.Place(again);
        code.Compute(BpfArithmetic.Add, BpfRegister.R6, 1);
        code.JumpIf(BpfRegister.R6, BpfCondition.NotEqual, 100_000, again);
        code.Move(BpfRegister.R0, 0);
        code.Exit();
        return code.Assemble();
    }

    private static int ThisThread() =>
        int.Parse(Path.GetFileName(Directory.ResolveLinkTarget("/proc/thread-self", returnFinalTarget: false)!.FullName), CultureInfo.InvariantCulture);

    /// <summary>Signals one thread, each time after some milliseconds: no flood, in which no check could ever end.</summary>
    private static void Signal(int thread, int times)
    {
        TimeSpan apart = TimeSpan.FromMilliseconds(2);
        for (int time = 0; time < times; time++)
        {
            long begun = Stopwatch.GetTimestamp();
            while (Stopwatch.GetElapsedTime(begun) < apart)
            {
                Thread.SpinWait(100);
            }

            _ = LibC.kill(thread, SIGWINCH); // by a thread's number: that thread is the first to be offered the signal
        }
    }
}
