using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.Interop.Bpf;

/// <summary>
/// The bpf(2) system call. Its argument is a union that grows with the kernel; what a command does not use must be zero. So it is written here as 128 bytes
/// with fields by their offsets, which never change. (linux/bpf.h, union bpf_attr)
/// </summary>
internal static unsafe class BpfCall
{
    internal const int BPF_MAP_CREATE = 0;
    internal const int BPF_PROG_LOAD = 5;
    internal const int BPF_OBJ_PIN = 6;
    internal const int BPF_OBJ_GET = 7;
    internal const int BPF_PROG_TEST_RUN = 10;
    internal const int BPF_OBJ_GET_INFO_BY_FD = 15;
    internal const int BPF_RAW_TRACEPOINT_OPEN = 17;
    private const nint SYS_bpf = 321;
    private const nint NumberOnArm64 = 280;
    private const int ArgumentBytes = 128;

    /// <summary>The argument of one call, all zeros at first.</summary>
    internal sealed class Argument
    {
        private readonly byte[] _bytes = new byte[ArgumentBytes];

        /// <summary>Writes four bytes.</summary>
        internal void Set(int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(_bytes.AsSpan(offset), value);

        /// <summary>Writes an address, which must stay where it is until the call is over.</summary>
        internal void Set(int offset, void* address) => BinaryPrimitives.WriteUInt64LittleEndian(_bytes.AsSpan(offset), (ulong)address);

        /// <summary>Writes a name of at most 15 letters, digits, dots and underscores, as the kernel lists it.</summary>
        internal void SetName(int offset, string name)
        {
            const int MaxLength = 15;
            ArgumentOutOfRangeException.ThrowIfGreaterThan(name.Length, MaxLength);
            Encoding.ASCII.GetBytes(name, _bytes.AsSpan(offset));
        }

        /// <summary>Makes the call.</summary>
        /// <returns>What the kernel answers; -1 with the error number left behind.</returns>
        internal nint Call(int command)
        {
            fixed (byte* bytes = _bytes)
            {
                return LibC.syscall(Number, command, bytes, (void*)ArgumentBytes, 0);
            }
        }

        /// <summary>Makes a call that answers a descriptor.</summary>
        internal SafeFileHandle Open(int command, string operation, string subject)
        {
            nint descriptor = Call(command);
            return descriptor >= 0 ? new SafeFileHandle(descriptor, ownsHandle: true) : throw LinuxErrorException.FromLastError(operation, subject);
        }
    }

    /// <summary>Gives an object a name in a mounted BPF file system, so that the kernel keeps it when its last descriptor is closed.</summary>
    internal static void Pin(SafeFileHandle what, string path)
    {
        fixed (byte* text = Encoding.UTF8.GetBytes(path + "\0"))
        {
            Argument argument = new();
            argument.Set(0, text);
            argument.Set(8, (uint)what.DangerousGetHandle());
            if (argument.Call(BPF_OBJ_PIN) < 0)
            {
                throw LinuxErrorException.FromLastError("pin the BPF object", path);
            }
        }
    }

    /// <summary>Opens an object by such a name.</summary>
    internal static SafeFileHandle OpenPinned(string path)
    {
        fixed (byte* text = Encoding.UTF8.GetBytes(path + "\0"))
        {
            Argument argument = new();
            argument.Set(0, text);
            return argument.Open(BPF_OBJ_GET, "open the pinned BPF object", path);
        }
    }

    private static nint Number => RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? NumberOnArm64 : SYS_bpf;
}
