using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Bpf;

namespace Quench.SystemTests.Activity;

/// <summary>Which BPF programs are in the kernel. They are numbered as they are loaded.</summary>
internal static class LoadedPrograms
{
    private const int GetDescriptorById = 13; // BPF_PROG_GET_FD_BY_ID (linux/bpf.h)

    /// <summary>The number of a program that is loaded now, and dropped at once: those of earlier programs are lower.</summary>
    internal static int NextId()
    {
        BpfAssembler code = new();
        code.Move(BpfRegister.R0, 0);
        code.Exit();
        using BpfProgram program = BpfProgram.Load("quench_test", code.Assemble());
        return Directory.EnumerateFiles("/proc/self/fdinfo")
            .SelectMany(TryReadLines)
            .Where(line => line.StartsWith("prog_id:", StringComparison.Ordinal))
            .Max(line => int.Parse(line.Split(':')[1], CultureInfo.InvariantCulture));
    }

    /// <summary>How many of the programs are still there whose numbers lie between two others.</summary>
    internal static int CountBetween(int before, int after)
    {
        int count = 0;
        for (int id = before + 1; id < after; id++)
        {
            BpfCall.Argument argument = new();
            argument.Set(0, (uint)id);
            nint descriptor = argument.Call(GetDescriptorById);
            using SafeFileHandle handle = new(descriptor, ownsHandle: descriptor >= 0);
            count += descriptor >= 0 ? 1 : 0;
        }

        return count;
    }

    private static IEnumerable<string> TryReadLines(string path)
    {
        try
        {
            return File.ReadAllLines(path);
        }
        catch (IOException)
        {
            return []; // closed meanwhile
        }
    }
}
