using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Bpf;

namespace Quench.SystemTests.Activity;

/// <summary>Which BPF programs a process has open, and whether the kernel still has them. (proc_pid_fdinfo(5))</summary>
internal static class LoadedPrograms
{
    private const int GetDescriptorById = 13; // BPF_PROG_GET_FD_BY_ID (linux/bpf.h)

    /// <summary>The numbers of a process's programs.</summary>
    internal static IReadOnlyList<int> Of(int process) =>
    [
        .. Directory.EnumerateFiles(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/fdinfo"))
            .SelectMany(TryReadLines)
            .Where(line => line.StartsWith("prog_id:", StringComparison.Ordinal))
            .Select(line => int.Parse(line.Split(':')[1], CultureInfo.InvariantCulture))
            .Distinct(),
    ];

    /// <summary>How many of them are in the kernel.</summary>
    internal static int Count(IReadOnlyList<int> programs) => programs.Count(IsLoaded);

    private static bool IsLoaded(int program)
    {
        BpfCall.Argument argument = new();
        argument.Set(0, (uint)program);
        nint descriptor = argument.Call(GetDescriptorById);
        new SafeFileHandle(descriptor, ownsHandle: descriptor >= 0).Dispose();
        return descriptor >= 0;
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
