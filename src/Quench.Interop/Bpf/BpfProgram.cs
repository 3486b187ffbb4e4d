using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.Interop.Bpf;

/// <summary>
/// A program in the kernel that runs at a raw tracepoint. The kernel drops it when its descriptor is closed, however the process ends, so nothing is left behind unless it was pinned.
/// </summary>
/// <remarks>
/// Raw tracepoints, because programs behind perf's tracepoints share one guard against recursion for each processor: an event that comes in an interrupt while
/// another program runs is lost to them. A raw one is guarded against itself alone, and the kernel counts what that costs (<see cref="CountMisses"/>).
/// </remarks>
public sealed unsafe class BpfProgram : IDisposable
{
    private const int BPF_PROG_TYPE_RAW_TRACEPOINT = 17;
    private const int Attempts = 20;
    private const int LogBytes = 1 << 18;
    private const int TypeOffset = 0;
    private const int CountOffset = 4;
    private const int CodeOffset = 8;
    private const int LicenseOffset = 16;
    private const int LogLevelOffset = 24;
    private const int LogSizeOffset = 28;
    private const int LogOffset = 32;
    private const int NameOffset = 48;
    private const int InfoBytes = 216;
    private const int MissesOffset = 208;
    private const int ContextBytesOffset = 40;
    private const int ContextOffset = 48;
    private const int RunFlagsOffset = 64;
    private const int RunProcessorOffset = 68;
    private const int BPF_F_TEST_RUN_ON_CPU = 1;

    private readonly SafeFileHandle _program;
    private readonly string _name;
    private SafeFileHandle? _link;

    private BpfProgram(SafeFileHandle program, string name)
    {
        _program = program;
        _name = name;
    }

    /// <summary>Gives a program to the kernel, which checks it; again when a signal to this thread broke the check off, for the runtime sends itself some.</summary>
    /// <param name="name">At most 15 letters, digits, dots and underscores; tools such as bpftool show it.</param>
    /// <param name="code">Its instructions, of <see cref="BpfAssembler"/>.</param>
    /// <exception cref="LinuxErrorException">EPERM: not root; another: the kernel does not take it, and the message ends with its reason.</exception>
    public static BpfProgram Load(string name, ReadOnlySpan<ulong> code)
    {
        nint descriptor;
        int attempts = 0;
        do
        {
            descriptor = TryLoad(name, code, null, 0);
        }
        while (descriptor < 0 && Marshal.GetLastPInvokeError() == (int)Errno.EAGAIN && ++attempts < Attempts); // EAGAIN: a signal is pending (kernel/bpf/verifier.c)

        if (descriptor < 0)
        {
            Errno errno = (Errno)Marshal.GetLastPInvokeError();
            throw new LinuxErrorException(errno, "load the BPF program", $"{name} {Reason(name, code)}".TrimEnd());
        }

        return new BpfProgram(new SafeFileHandle(descriptor, ownsHandle: true), name);
    }

    /// <summary>Lets it run at a tracepoint, until it is disposed.</summary>
    /// <exception cref="LinuxErrorException">ENOENT: this kernel has no such tracepoint.</exception>
    public void AttachTo(string tracepoint)
    {
        byte[] name = Encoding.ASCII.GetBytes(tracepoint + "\0");
        fixed (byte* text = name)
        {
            BpfCall.Argument argument = new();
            argument.Set(0, text);
            argument.Set(8, (uint)_program.DangerousGetHandle());
            _link = argument.Open(BpfCall.BPF_RAW_TRACEPOINT_OPEN, "attach to the tracepoint", tracepoint);
        }
    }

    /// <summary>Opens a program that was pinned at its tracepoint, and runs there.</summary>
    /// <exception cref="LinuxErrorException">ENOENT: there is none.</exception>
    public static BpfProgram OpenPinned(string name, string programPath, string linkPath)
    {
        BpfProgram program = new(BpfCall.OpenPinned(programPath), name);
        try
        {
            program._link = BpfCall.OpenPinned(linkPath);
            return program;
        }
        catch
        {
            program.Dispose();
            throw;
        }
    }

    /// <summary>Gives it and its place at the tracepoint names in a mounted BPF file system: it goes on running until those are removed.</summary>
    public void Pin(string programPath, string linkPath)
    {
        BpfCall.Pin(_program, programPath);
        BpfCall.Pin(_link ?? throw new InvalidOperationException("it runs at no tracepoint"), linkPath);
    }

    /// <summary>Stops running at its tracepoint, unless it was pinned there; the program stays loaded.</summary>
    public void Detach()
    {
        _link?.Dispose();
        _link = null;
    }

    /// <summary>How often the kernel did not run it because it was running on that processor already. Each is an event that it never saw. (Linux 5.12)</summary>
    public ulong CountMisses()
    {
        byte* info = stackalloc byte[InfoBytes];
        new Span<byte>(info, InfoBytes).Clear();
        BpfCall.Argument argument = new();
        argument.Set(0, (uint)_program.DangerousGetHandle());
        argument.Set(4, InfoBytes);
        argument.Set(8, info);
        return argument.Call(BpfCall.BPF_OBJ_GET_INFO_BY_FD) == 0
            ? BinaryPrimitives.ReadUInt64LittleEndian(new ReadOnlySpan<byte>(info + MissesOffset, sizeof(ulong)))
            : throw LinuxErrorException.FromLastError("ask about the BPF program", _name);
    }

    /// <summary>Runs it once on a processor, as if its tracepoint had handed these words over: for tests of programs. (Linux 5.10)</summary>
    internal void RunOnce(int processor, ReadOnlySpan<ulong> arguments)
    {
        fixed (ulong* context = arguments)
        {
            BpfCall.Argument argument = new();
            argument.Set(0, (uint)_program.DangerousGetHandle());
            argument.Set(ContextBytesOffset, (uint)(arguments.Length * sizeof(ulong)));
            argument.Set(ContextOffset, context);
            argument.Set(RunFlagsOffset, BPF_F_TEST_RUN_ON_CPU);
            argument.Set(RunProcessorOffset, (uint)processor);
            if (argument.Call(BpfCall.BPF_PROG_TEST_RUN) != 0)
            {
                throw LinuxErrorException.FromLastError("run the BPF program", _name);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Detach();
        _program.Dispose();
    }

    /// <summary>Loads it once more with the checker's log, and answers the log's end.</summary>
    private static string Reason(string name, ReadOnlySpan<ulong> code)
    {
        const int Lines = 12;
        byte[] log = new byte[LogBytes];
        nint descriptor = TryLoad(name, code, log, 1);
        new SafeFileHandle(descriptor, ownsHandle: descriptor >= 0).Dispose();
        int end = log.AsSpan().IndexOf((byte)0);
        string[] lines = Encoding.ASCII.GetString(log, 0, Math.Max(0, end)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        return string.Join(" | ", lines.TakeLast(Lines));
    }

    private static nint TryLoad(string name, ReadOnlySpan<ulong> code, byte[]? log, uint level)
    {
        fixed (ulong* instructions = code)
        fixed (byte* license = "GPL\0"u8) // the helper that reads kernel memory is for programs under it
        fixed (byte* text = log)
        {
            BpfCall.Argument argument = new();
            argument.Set(TypeOffset, BPF_PROG_TYPE_RAW_TRACEPOINT);
            argument.Set(CountOffset, (uint)code.Length);
            argument.Set(CodeOffset, instructions);
            argument.Set(LicenseOffset, license);
            argument.Set(LogLevelOffset, level);
            argument.Set(LogSizeOffset, (uint)(log?.Length ?? 0));
            argument.Set(LogOffset, text);
            argument.SetName(NameOffset, name);
            return argument.Call(BpfCall.BPF_PROG_LOAD);
        }
    }
}
